"""Before an engine samples: are its log-probabilities those of the model?

transformers sets another attention only in architectures written for its AttentionInterface; for
the rest it logs a warning and keeps the old one, under which packed prompts see each other and a
decode step sees no context. Others take it and still compute more than the engine knows: attention
called twice a layer (DiffLlama), a bias by position (ALiBi), a state besides keys and values
(Mamba). So two short prompts, packed, and two tokens after each are compared with the model's own
forward pass, which was computed before its attention was replaced. That is four small passes.

Left out on purpose: sliding windows, whose prompts would have to be longer; the compiled decode
step, which computes what `DecodeStep` does.

Shapes: M places that are compared (prompts' ends, then each token after them), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from r1.errors import UserError, lacks_memory
from r1.rollout.kv_cache import ATTENTION_NAME, REMEDY, DecodeStep, Grouping, KVMemory
from r1.rollout.prefill import prefill

TOLERANCE = {torch.float32: 1e-2, torch.float64: 1e-2, torch.float16: 0.1, torch.bfloat16: 0.5}
"""SmolLM2-135M: 4e-5 in float32, a mean of 0.045 in bfloat16. A wrong context: above 1 (Falcon)."""
PROMPT_LENGTHS, NUM_NEW = (5, 3), 2
PROBE_POSITIONS = max(PROMPT_LENGTHS) + NUM_NEW
"""Positions that the probe reaches."""


def replace_attention(model: Any) -> None:
    """Let the model compute attention through the engine; UserError where its code cannot."""
    if not model._can_set_attn_implementation():
        raise UserError(
            f"{type(model).__name__} has its attention built in, and the embedded engine needs an "
            "architecture that transformers runs through its AttentionInterface (Llama, Qwen, "
            f"DeepSeek, ...): {REMEDY}"
        )
    model.set_attn_implementation(ATTENTION_NAME)


@torch.no_grad()
def plain_logprobs(model: Any) -> Tensor:
    """Return the probe's log-probabilities [M, V] by the model's own forward pass.

    The shorter text is padded on the right, which no earlier token sees.
    """
    texts = [[*prompt, *new] for prompt, new in _probe(model)]
    rows = [[*text, *[0] * (PROBE_POSITIONS - len(text))] for text in texts]
    ids_PT = torch.tensor(rows, device=model.device)
    logits_PTV = model(input_ids=ids_PT, use_cache=False).logits
    compared = [
        logits_TV[len(text) - NUM_NEW - 1 : len(text)]
        for logits_TV, text in zip(logits_PTV, texts, strict=True)
    ]
    return torch.stack(compared, dim=1).flatten(0, 1).float().log_softmax(-1)


def check_engine_logprobs(model: Any, expected_MV: Tensor) -> None:
    """Compare with `plain_logprobs` what the engine computes.

    Raises UserError that names the architecture where they differ by more than rounding. Weights
    that have diverged are not judged here: sampling reports them.
    """
    if not torch.isfinite(expected_MV).all():
        return
    name = type(model).__name__
    try:
        gap_MV = (_engine_logprobs(model) - expected_MV).abs()
    except UserError:
        raise
    except Exception as error:  # an unknown architecture can fail in any way
        if lacks_memory(error):
            raise
        raise UserError(
            f"{name} cannot run in the embedded engine ({type(error).__name__}: {error}): {REMEDY}"
        ) from error
    # In half precision rounding moves single values by much; a wrong context moves all of them.
    half = model.dtype in (torch.float16, torch.bfloat16)
    gap = float(gap_MV.mean() if half else gap_MV.max())
    if not gap <= TOLERANCE[model.dtype]:
        raise UserError(
            f"{name}: the embedded engine's log-probabilities differ from the model's own by "
            f"{gap:.2g}; its layers do something that this engine does not know: {REMEDY}"
        )


@torch.no_grad()
def _engine_logprobs(model: Any) -> Tensor:
    """Prefill both prompts in one row, then decode the given tokens; [M, V]."""
    prompts, news = zip(*_probe(model), strict=True)
    count, device = len(prompts), model.device
    memory = KVMemory(model.config.num_hidden_layers, count, NUM_NEW, count, max(PROMPT_LENGTHS))
    logits = [prefill(model, memory, prompts, [0] * count, 0)]
    lengths_P = np.array(PROMPT_LENGTHS)
    grouping = Grouping(np.arange(count), lengths_P, device)
    for done, tokens in enumerate(zip(*news, strict=True)):
        lengths_B = torch.full((count,), done, device=device)
        step = DecodeStep(memory, grouping, lengths_B, done, even=True)
        out = model(
            input_ids=torch.tensor([tokens], device=device),
            position_ids=torch.from_numpy(lengths_P + done)[None].to(device),
            use_cache=False,
            rollout=step,
        )
        logits.append(out.logits[0])
    return torch.cat(logits).float().log_softmax(-1)


def _probe(model: Any) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Prompts of two lengths, and the tokens after each."""
    rows = model.get_input_embeddings().weight.shape[0]
    return [
        (
            [17 * (i + j) % rows for i in range(1, length + 1)],
            [(29 * i + j) % rows for i in range(1, NUM_NEW + 1)],
        )
        for j, length in enumerate(PROMPT_LENGTHS, start=1)
    ]
