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
    leaves a response out), lengths_R: one per response. values: what a critic says, where the
    objective has one. All fp32 but the integer response_M and lengths_R.
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
    values: TokenValues | None = None


class TokenValues(NamedTuple):
    """A critic's values of a micro-batch's tokens and what they are held against, M each.

    values_M carries the gradient: the return that is expected just before the token is drawn, or
    what `ImplicitObjective` says. old_values_M are those before this update's first step, returns_M
    what came. outcomes_R: `Valued.outcomes`, one per response.
    """

    values_M: Tensor
    old_values_M: Tensor
    returns_M: Tensor
    outcomes_R: Tensor | None = None


class Totals(NamedTuple):
    """Denominators of a whole minibatch, its share of skipped responses included."""

    num_responses: float
    num_tokens: float


class LossOutput(NamedTuple):
    """loss: a differentiable scalar. sums: detached scalars that add up over micro-batches and are
    divided by the number of tokens learnt from to become metrics. value_loss: a critic's own loss,
    differentiable too; it is minimised together with the other."""

    loss: Tensor
    sums: dict[str, Tensor]
    value_loss: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """Both losses."""
        return self.loss if self.value_loss is None else self.loss + self.value_loss


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


class Valued(NamedTuple):
    """A batch with its advantages, and what its critic is to learn.

    returns: one tensor a response in the batch's order, of its tokens. metrics: of the critic, over
    the whole batch. outcomes: one number a response, where the critic learns those.
    """

    batch: TrainBatch
    returns: list[Tensor]
    metrics: dict[str, float]
    outcomes: list[float] | None = None


@runtime_checkable
class CriticObjective(Objective, Protocol):
    """An objective that needs a value for every token (`learner.critic`).

    It costs a pass over the whole batch under the policy, once an update, one under the reference
    where `kl_in_loss` is false, and one under the critic's own model where it has one.
    """

    @property
    def value_lr(self) -> float:
        """Learning rate of the value head."""

    @property
    def critic_lr(self) -> float | None:
        """Learning rate of a model of the critic's own; None puts the head on the policy."""

    @property
    def value_weight(self) -> float:
        """Weight of the value loss in the gradient of the policy's own weights."""

    @property
    def value_warmup(self) -> int:
        """So many updates, the first ones, teach the critic alone."""

    @property
    def kl_in_loss(self) -> bool:
        """Whether the reference is for the loss; otherwise it is for `finish_with_values`."""

    def finish_with_values(
        self,
        batch: TrainBatch,
        old: Sequence[Tensor],
        reference: Sequence[Tensor] | None,
        values: Sequence[Tensor],
    ) -> Valued:
        """Return advantages and returns, before the first step of an update.

        old, reference: as in `FinishingObjective.finish`. values: likewise, of the critic; its
        value of a token is what it expects before that token is drawn.
        """


@runtime_checkable
class ImplicitObjective(CriticObjective, Protocol):
    """An objective whose critic is a language model of its own, with no value head: its value of a
    token is the token's log-probability."""

    @property
    def implicit(self) -> bool:
        """True; the critic's head is not used."""
