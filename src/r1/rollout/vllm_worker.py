"""Code inside vLLM's worker processes: r1's definition of log-probability, a complete reload.

The project's log-probabilities are those of softmax(logits / T) before top-p and top-k cut anything
(r1.types.Completion), which is what the learner computes. vLLM has either softmax(logits) or the
truncated, renormalised softmax(logits / T); the second is the project's own where nothing is
truncated. `record_before_truncation` puts the missing definition between temperature and
truncation, in both of vLLM 0.32's model runners. The second runner needs a GPU: untested here.

On a CPU vLLM 0.32 computes logits with a packed copy of the head's weights. Its reload makes that
copy anew only where the checkpoint names the head, so with tied embeddings the logits would come
from the old weights for ever: `pack_heads_again`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class WorkerExtension:
    """Methods that vLLM adds to its worker; called by `collective_rpc`."""

    model_runner: Any
    reload_weights: Callable[..., None]

    def r1_prepare(self) -> str:
        """Prepare the worker once after loading; return which of vLLM's samplers was found."""
        return record_before_truncation(self.model_runner.sampler)

    def r1_reload(self, folder: str) -> int:
        """Reload a checkpoint by vLLM's own method, with the steps that it lacks; return the number
        of packed layers."""
        self.reload_weights(weights_path=folder)
        return pack_heads_again(self.model_runner.get_model())


def pack_heads_again(model: Any) -> int:
    """Repack the weights of every layer that keeps a packed copy beside them (CPU only)."""
    layers = [
        layer
        for layer in model.modules()
        if hasattr(layer, "cpu_linear") and layer.weight.numel()  # linear layers keep the copy only
    ]
    for layer in layers:
        layer.quant_method.process_weights_after_loading(layer)
    return len(layers)


def record_before_truncation(sampler: Any) -> str:
    """Make a vLLM sampler with `processed_logprobs` report log-probabilities without truncation.

    Raises RuntimeError for a sampler of another vLLM than the two known ones.
    """
    if hasattr(sampler, "topk_topp_sampler"):
        _wrap_first_runner(sampler.topk_topp_sampler)
        return "first"
    if hasattr(sampler, "_sample_random"):
        _wrap_second_runner(sampler)
        return "second"
    raise RuntimeError(f"vLLM's {type(sampler).__name__} is not one that r1 knows: use vLLM 0.32")


def _wrap_first_runner(truncating: Any) -> None:
    inner = truncating.forward

    def forward(logits: Any, generators: Any, k: Any, p: Any) -> Any:
        if k is None and p is None:
            return inner(logits, generators, k, p)
        logprobs = logits.log_softmax(dim=-1)  # fp32 by now; inner overwrites the logits
        sampled, _ = inner(logits, generators, k, p)
        return sampled, logprobs

    truncating.forward = forward


def _wrap_second_runner(sampler: Any) -> None:
    inner = sampler._sample_random

    def sample(
        logits: Any, index: Any, index_np: Any, pos: Any, k: Any, p: Any, fused: bool
    ) -> Any:
        if k is None and p is None:
            return inner(logits, index, index_np, pos, k, p, fused)
        sampled, _ = inner(logits.clone(), index, index_np, pos, k, p, fused)
        return sampled, logits  # what the log-probabilities are computed from

    sampler._sample_random = sample
