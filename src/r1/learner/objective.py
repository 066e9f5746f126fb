"""What a learner minimises: the seam between the update's mechanics and its mathematics.

The learner splits a batch into minibatches and micro-batches, computes log-probabilities and steps
the optimiser; the objective turns log-probabilities into a loss. Those of reinforcement learning
are in `r1.algorithms`, an algorithm a file.

A loss must be a sum over responses that is already divided by the totals of its whole minibatch:
then any split into micro-batches adds up to the same gradient.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from r1.types import TrainBatch


@dataclass(frozen=True, eq=False)
class PolicyTokens:
    """The response tokens of one micro-batch, packed without padding.

    logprobs_M carries the gradient; old_logprobs_M are those of the policy before this update's
    first step, engine_logprobs_M those the sampler reported, reference_logprobs_M those of the
    reference policy (None where the loss needs none). entropy_M is a metric. advantages_M: how much
    better the token was than expected. response_M: which response a token belongs to. weights_R (0
    leaves a response out), lengths_R: one per response. All fp32 but the integer response_M and
    lengths_R.
    """

    logprobs_M: Tensor
    old_logprobs_M: Tensor
    engine_logprobs_M: Tensor
    reference_logprobs_M: Tensor | None
    entropy_M: Tensor
    advantages_M: Tensor
    response_M: Tensor
    weights_R: Tensor
    lengths_R: Tensor


class Totals(NamedTuple):
    """Denominators of a whole minibatch, its share of skipped responses included."""

    num_responses: float
    num_tokens: float


class LossOutput(NamedTuple):
    """loss: a differentiable scalar. sums: detached scalars that add up over micro-batches and are
    divided by the number of tokens learnt from to become metrics."""

    loss: Tensor
    sums: dict[str, Tensor]


class Objective(Protocol):
    """A loss and the shape of the update around it."""

    @property
    def num_minibatches(self) -> int:
        """Optimiser steps per pass over a batch."""

    @property
    def num_epochs(self) -> int:
        """Passes over a batch."""

    @property
    def needs_reference(self) -> bool:
        """Whether the reference policy must be kept and computed."""

    @property
    def reference_every(self) -> int:
        """Replace the reference by the policy every so many updates; 0 never."""

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        """The micro-batch's share of the minibatch's loss."""


@runtime_checkable
class FinishingObjective(Objective, Protocol):
    """An objective whose advantages depend on log-probabilities.

    It costs a pass over the whole batch under each policy, once an update; its loss is then given
    no reference.
    """

    def finish(
        self, batch: TrainBatch, old: Sequence[Tensor], reference: Sequence[Tensor] | None
    ) -> TrainBatch:
        """Return the batch with its advantages completed, before the first step of an update.

        old, reference: one tensor a response in the batch's order, of its tokens, under the policy
        before the update and under the reference (None where there is none).
        """
