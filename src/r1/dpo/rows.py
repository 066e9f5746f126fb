"""Between a row's responses, in the order of the row, and the pairs of a batch.

Shapes: E pairs of a batch, R responses of a row, P pairs of a row, M response tokens of a row; P2
and E2: [:, 0] chosen, [:, 1] rejected.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from r1.dpo.loss import PairLogprobs
from r1.preferences.examples import PreferenceExample, PreferenceRow
from r1.types import TrainResponse


def learnt(token_ids: Sequence[int]) -> TrainResponse:
    """A response all of whose tokens count."""
    return TrainResponse([*token_ids], [], [])


def response_sums(values_M: Tensor | None, response_M: Tensor, num: int) -> Tensor:
    """Sum a value a token over each of `num` responses, [R]; zeros for None."""
    if values_M is None:
        return torch.zeros(num, device=response_M.device)
    return values_M.new_zeros(num).index_add(0, response_M, values_M)


def pairs_of(
    row: PreferenceRow,
    examples: Sequence[PreferenceExample],
    policy_R: Tensor,
    reference_R: Tensor,
) -> PairLogprobs:
    """Return a row's pairs. examples: the batch that the row's owners count in."""
    place = {owner: position for position, owner in enumerate(row.owners)}
    numbers = sorted({number for number, _ in row.owners})
    index_P2 = torch.tensor([[place[number, side] for side in (0, 1)] for number in numbers])
    index_P2 = index_P2.to(policy_R.device)
    chosen = [examples[number] for number in numbers]
    return _pairs(chosen, policy_R[index_P2], reference_R[index_P2])


class PairTable:
    """Log-probabilities of a batch's responses, filled row by row; what other ranks compute stays
    0, so that the sum over ranks is the whole."""

    def __init__(self, examples: Sequence[PreferenceExample], device: torch.device) -> None:
        self.examples = examples
        self.values_2E2 = torch.zeros(2, len(examples), 2, dtype=torch.float64, device=device)

    def enter(self, row: PreferenceRow, policy_R: Tensor, reference_R: Tensor) -> None:
        """Take up what a row found."""
        numbers, sides = (torch.tensor(list(part)) for part in zip(*row.owners, strict=True))
        for held_E2, values_R in zip(self.values_2E2, (policy_R, reference_R), strict=True):
            held_E2[numbers, sides] = values_R.detach().to(held_E2.dtype)

    def pairs(self) -> PairLogprobs:
        """Return all pairs of the batch, in fp64 on the CPU."""
        policy_E2, reference_E2 = self.values_2E2.cpu()
        return _pairs(self.examples, policy_E2, reference_E2)


def _pairs(
    examples: Sequence[PreferenceExample], policy_P2: Tensor, reference_P2: Tensor
) -> PairLogprobs:
    lengths = [[len(ids) for ids in example.responses] for example in examples]
    return PairLogprobs(
        policy_P2,
        reference_P2,
        policy_P2.new_tensor(lengths),
        policy_P2.new_tensor([example.target for example in examples]),
    )
