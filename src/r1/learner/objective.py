"""What a learner minimises: the seam between the update's mechanics and its mathematics.

The learner splits a batch into minibatches and micro-batches, computes log-probabilities and steps
the optimiser; the objective turns log-probabilities into a loss. GRPO's is `r1.grpo.loss`.

A loss must be a sum over responses that is already divided by the totals of its whole minibatch:
then any split into micro-batches adds up to the same gradient.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor


@dataclass(frozen=True, eq=False)
class PolicyTokens:
    """The response tokens of one micro-batch, packed without padding.

    logprobs_M carries the gradient; old_logprobs_M are those of the policy before this update's
    first step, engine_logprobs_M those the sampler reported, reference_logprobs_M those of the
    reference policy (None where the objective needs none). entropy_M is a metric.
    response_M: which response a token belongs to. advantages_R, weights_R (0 leaves a response
    out), lengths_R: one per response. All fp32 but the integer response_M and lengths_R.
    """

    logprobs_M: Tensor
    old_logprobs_M: Tensor
    engine_logprobs_M: Tensor
    reference_logprobs_M: Tensor | None
    entropy_M: Tensor
    response_M: Tensor
    advantages_R: Tensor
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
