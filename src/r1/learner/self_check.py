"""Before learning starts: do the packed path's log-probabilities equal the model's own?

Catches architectures whose attention, positions or output head are more than the packed path knows
(soft-capping, biases, positions not taken from position_ids), which would otherwise
train on wrong numbers in silence. Two comparisons, since a model that is shared by several ranks is
loaded on rank 0's CPU alone:

    check_packed_path   as loaded, in the model's own dtype: is the architecture known?
    check_used_path     sharded, on the device, under autocast: is what will learn that model?
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from r1.errors import UserError
from r1.learner.modes import autocast
from r1.learner.packing import PackedRow, pack_groups
from r1.learner.ranks import Ranks
from r1.learner.shared_prefix import head_inputs, packed_hidden_states, use_shared_prefix
from r1.learner.token_logprobs import token_logprobs
from r1.types import TrainGroup, TrainResponse

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.5}
LONGEST_WINDOW = 1024
"""A sliding window up to which the probe's prompt is longer than it; beyond, it is not tested."""


def probe(vocab_size: int, window: int | None = None) -> tuple[tuple[int, ...], list[list[int]]]:
    """A prompt and two responses of different lengths, as token ids, to compare two paths on.

    window: tokens that a layer of the model sees; the prompt is longer.
    """
    width = 5 if window is None or window > LONGEST_WINDOW else window + 5
    prompt = tuple(17 * i % vocab_size for i in range(1, width + 1))
    return prompt, [[(29 * i + j) % vocab_size for i in range(1, 5 + j)] for j in (1, 3)]


def window_of(model: PreTrainedModel) -> int | None:
    """The sliding window of a model's layers, None without any."""
    config = model.config.get_text_config()
    slides = "sliding_attention" in (getattr(config, "layer_types", None) or ())
    return getattr(config, "sliding_window", None) if slides else None


@torch.no_grad()
def check_packed_path(model: PreTrainedModel) -> Tensor | None:
    """Compare both on a prompt with two responses, and leave the model ready for packed rows.

    Returns the model's own log-probabilities. A model on "meta" is only made ready: whoever has its
    weights compares. Raises UserError naming the architecture where they differ.
    """
    device = next(model.parameters()).device
    if device.type == "meta":
        use_shared_prefix(model)
        return None
    prompt, answers = _probe_of(model)
    plain = []
    for answer in answers:
        ids = torch.tensor([[*prompt, *answer]], device=device)
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
        logprobs = torch.log_softmax(logits, dim=-1)
        plain.append(logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0])
    use_shared_prefix(model)
    name, plain_M = type(model).__name__, torch.cat(plain)
    try:
        packed_M = _packed_logprobs(model, _probe_row(model, device))
    except TypeError as error:
        raise UserError(f"{name} cannot run on packed rows: {error}") from error
    gap = (packed_M.float() - plain_M).abs().max().item()
    if not gap <= TOLERANCE[model.dtype]:
        raise UserError(
            f"{name}: log-probabilities of packed rows differ from the model's own by {gap:.2g}; "
            "its attention or output head does something the learner does not know, so this "
            "architecture cannot be trained yet."
        )
    return plain_M


@torch.no_grad()
def check_used_path(
    model: PreTrainedModel,
    plain_M: Tensor | None,
    ranks: Ranks,
    device: torch.device,
    half: bool,
) -> None:
    """Compare packed rows as they will be computed with what `check_packed_path` returned (on rank
    0). half: under bf16 autocast. All ranks together; nothing is done where that comparison was of
    the same kernels, as on ranks on CPUs, of which none may hold more than its part. Raises
    UserError.
    """
    if not half and (not ranks.sharded or device.type == "cpu"):
        return
    row = _probe_row(model, device)
    expected_M = torch.zeros(len(row.targets_M), device=device)
    if plain_M is not None:
        expected_M += plain_M.to(device)
    expected_M = ranks.sum(expected_M)
    with autocast(half, device):
        packed_M = ranks.run(model, _packed_logprobs, row)
    # Rounding moves single tokens by more; a wrong mask or gather moves all of them.
    gap = (packed_M.float() - expected_M).abs().mean().item()
    if not gap <= TOLERANCE[torch.bfloat16 if half else model.dtype]:
        raise UserError(
            f"{type(model).__name__}: on {device}"
            f"{' in bfloat16' if half else ''}{', sharded' if ranks.sharded else ''}, "
            f"log-probabilities differ from the loaded model's by {gap:.2g} on average: PyTorch's "
            "kernels there do not compute this model. Set learner.autocast = false, or train on "
            "another device."
        )


def _probe_of(model: PreTrainedModel) -> tuple[tuple[int, ...], list[list[int]]]:
    return probe(model.get_output_embeddings().weight.shape[0], window_of(model))


def _probe_row(model: PreTrainedModel, device: torch.device) -> PackedRow:
    prompt, answers = _probe_of(model)
    return pack_groups([TrainGroup(prompt, [TrainResponse(a, [], []) for a in answers])], device)


def _packed_logprobs(model: PreTrainedModel, row: PackedRow) -> Tensor:
    hidden_MD = head_inputs(model, packed_hidden_states(model, row))
    return token_logprobs(hidden_MD, model.get_output_embeddings().weight, row.targets_M).logprobs_N
