"""What an algorithm is: its settings, an advantage for every token, a loss over tokens.

    problems -> rollouts -> rewards -> ADVANTAGES -> UPDATE (LOSS) -> weights

`advantages` runs where the loop runs, on whole groups and without torch. `loss` runs inside the
learner, on every rank, on the tokens of one micro-batch. An algorithm whose advantages depend on
log-probabilities too (a KL term inside the reward) also has `finish`, which the learner calls once
an update (`learner.objective.FinishingObjective`); one that needs a critic's values has
`finish_with_values` (`learner.objective.CriticObjective`). Everything else, sampling, packing,
minibatches, ranks, checkpoints, is the same for all.

An algorithm is a file that registers itself (`registry`); `grpo.py` is the one to read first.

Shapes: P groups of a batch, G samples of a group, T tokens of a response.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, Protocol

from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import Objective
from r1.types import ScoredGroup, TrainBatch, TrainGroup


class RewardedGroup(NamedTuple):
    """A group and what its advantages are computed from.

    rewards_G: totals, an overlong penalty included. valid_G: False where a verifier gave no
    verdict; such a sample must touch nothing. trained_G: whether the loss has the sample's tokens
    (valid, not empty, not masked). lengths_G: response tokens. scored: the rest, parts of rewards
    and texts.
    """

    rewards_G: list[float]
    valid_G: list[bool]
    trained_G: list[bool]
    lengths_G: list[int]
    scored: ScoredGroup


class Algorithm(Objective, Protocol):
    """One algorithm with its settings; picklable, as the learner's ranks get a copy."""

    @property
    def settings(self) -> AlgorithmSettings:
        """The section of the recipe."""

    @property
    def compared_over(self) -> Literal["group", "batch"]:
        """What a response's reward is compared with. "group": a group whose advantages are all zero
        teaches nothing and is not computed. "batch": every valid group teaches."""

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        """Return an advantage for every token, nested as groups, samples, tokens (P, G, T)."""


def spread(values_G: Sequence[float], lengths_G: Sequence[int]) -> list[list[float]]:
    """Give every token its response's advantage: supervision of outcomes."""
    return [[value] * length for value, length in zip(values_G, lengths_G, strict=True)]


def with_advantages(batch: TrainBatch, advantages: Iterable[list[float]]) -> TrainBatch:
    """Return the batch with these advantages, one list a response in the batch's order."""
    rest = iter(advantages)
    groups = [
        TrainGroup(
            group.prompt_ids,
            [replace(response, advantages=next(rest)) for response in group.responses],
        )
        for group in batch.groups
    ]
    return replace(batch, groups=groups)
