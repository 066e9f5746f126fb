"""Before learning starts: do the packed path's log-probabilities equal the model's own?

Catches architectures whose attention, positions or output head are more than the packed path knows
(logit scaling, soft-capping, biases, positions not taken from position_ids), which would otherwise
train on wrong numbers in silence.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from r1.errors import UserError
from r1.learner.packing import pack_groups
from r1.learner.shared_prefix import packed_hidden_states, use_shared_prefix
from r1.learner.token_logprobs import token_logprobs
from r1.types import TrainGroup, TrainResponse

TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.5}


def probe(vocab_size: int) -> tuple[tuple[int, ...], list[list[int]]]:
    """A prompt and two responses of different lengths, as token ids, to compare two paths on."""
    prompt = tuple(17 * i % vocab_size for i in range(1, 6))
    return prompt, [[(29 * i + j) % vocab_size for i in range(1, 5 + j)] for j in (1, 3)]


@torch.no_grad()
def check_packed_path(model: PreTrainedModel) -> None:
    """Compare both on a prompt with two responses, and leave the model ready for packed rows.

    A model on "meta" is only made ready: whoever has its weights compares. Raises
    UserError naming the architecture where they differ.
    """
    device = next(model.parameters()).device
    if device.type == "meta":
        use_shared_prefix(model)
        return
    vocab_size: int = model.get_output_embeddings().weight.shape[0]
    prompt, answers = probe(vocab_size)
    plain = []
    for answer in answers:
        ids = torch.tensor([[*prompt, *answer]], device=device)
        logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
        logprobs = torch.log_softmax(logits, dim=-1)
        plain.append(logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0])
    use_shared_prefix(model)
    group = TrainGroup(prompt, [TrainResponse(a, [], []) for a in answers])
    row = pack_groups([group], device)
    name = type(model).__name__
    head = model.get_output_embeddings()
    try:
        hidden_MD = packed_hidden_states(model, row)
    except TypeError as error:
        raise UserError(f"{name} cannot run on packed rows: {error}") from error
    packed = token_logprobs(hidden_MD, head.weight, row.targets_M).logprobs_N
    gap = (packed.float() - torch.cat(plain)).abs().max().item()
    if not gap <= TOLERANCE[model.dtype]:
        raise UserError(
            f"{name}: log-probabilities of packed rows differ from the model's own by {gap:.2g}; "
            "its attention or output head does something the learner does not know, so this "
            "architecture cannot be trained yet."
        )
