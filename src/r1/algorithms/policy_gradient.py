"""What policy-gradient losses share: ratios, clipping, KL, averages over tokens, metrics.

    loss = sum_t a_t * [ c_t * policy_t + kl_weight * KL_t ]

policy_t is the algorithm's own. The average a_t (w_i is the response's weight, 0 or 1):

    "sequence"  a_t = w_i / (|o_i| * responses)         mean over tokens, then over responses
    "token"     a_t = w_i / tokens                      mean over all tokens (DAPO)
    "constant"  a_t = w_i / (constant * responses)      Dr. GRPO

KL is a sum of per-token estimates, averaged by the same a_t, with x = log pi - log pi_ref: k1 = x,
k2 = x^2 / 2, k3 = exp(-x) + x - 1. (R1's equation 1 writes k3 on whole sequences, where exp(-x) of
a sum overflows.) The gradient goes through the estimate: of k2 it is that of the KL itself, of k1
it is zero in expectation, so k1 serves only to compare.

c_t = min(pi_old(t) / pi_engine(t), importance_cap) corrects for an engine whose log-probabilities
differ from the learner's (truncated importance sampling); 1 where the cap is 0.

Torch is not imported, only tensors' methods are used, so that recipes are read without it.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from r1.algorithms.protocol import RewardedGroup, spread
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals

if TYPE_CHECKING:
    from torch import Tensor

KLKind = Literal["k1", "k2", "k3"]


class Clip(NamedTuple):
    """How far a ratio may leave 1: below 1 - low and above 1 + high it is clipped."""

    low: float
    high: float


# Only to stay finite: a sequence's summed log-ratio may leave what exp can hold.
MAX_LOG_RATIO = 30.0


@dataclass(frozen=True)
class PolicyGradient:
    """The part of an Algorithm that follows from its settings: groups compared with themselves, a
    reference where KL has a weight."""

    settings: AlgorithmSettings

    @property
    def compared_over(self) -> Literal["group", "batch"]:
        return "group"

    @property
    def num_minibatches(self) -> int:
        return self.settings.num_minibatches

    @property
    def num_epochs(self) -> int:
        return self.settings.num_epochs

    @property
    def reference_every(self) -> int:
        return self.settings.reference_every

    @property
    def needs_reference(self) -> bool:
        return self.settings.needs_reference


class WithCritic(PolicyGradient):
    """The part of an algorithm that follows from its critic: rewards are handed on as they are, and
    the algorithm's `finish_with_values` makes advantages of them over the whole batch."""

    @property
    def compared_over(self) -> Literal["group", "batch"]:
        return "batch"

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        """The rewards."""
        return [spread(group.rewards_G, group.lengths_G) for group in groups_P]


def policy_ratio(
    tokens: PolicyTokens, over: Literal["token", "sequence", "sequence_mean"]
) -> Tensor:
    """New over old probability of every token's unit, M; siblings of a sequence share one value."""
    log_ratio_M = tokens.logprobs_M - tokens.old_logprobs_M
    if over != "token":
        zeros_R = log_ratio_M.new_zeros(len(tokens.lengths_R))
        pooled_R = zeros_R.index_add(0, tokens.response_M, log_ratio_M)
        if over == "sequence_mean":
            pooled_R = pooled_R / tokens.lengths_R
        log_ratio_M = pooled_R[tokens.response_M]
    return log_ratio_M.clamp(max=MAX_LOG_RATIO).exp()


def clipped_loss(
    tokens: PolicyTokens,
    totals: Totals,
    settings: AlgorithmSettings,
    clip: Clip,
    ratio_M: Tensor,
    kl: KLKind | None,
) -> LossOutput:
    """-min(rho A, clip(rho) A) a token, averaged, with what `averaged_loss` adds."""
    advantages_M = tokens.advantages_M
    clipped_M = ratio_M.clamp(1.0 - clip.low, 1.0 + clip.high)
    policy_M = -(ratio_M * advantages_M).minimum(clipped_M * advantages_M)
    return averaged_loss(tokens, totals, settings, policy_M, clip, ratio_M, kl)


def averaged_loss(
    tokens: PolicyTokens,
    totals: Totals,
    settings: AlgorithmSettings,
    policy_M: Tensor,
    clip: Clip,
    ratio_M: Tensor,
    kl: KLKind | None,
) -> LossOutput:
    """The micro-batch's share of the loss, and sums of metrics over its tokens.

    policy_M: the algorithm's own loss of every token. kl: the estimator of the loss's KL term, None
    where the algorithm has it elsewhere. sums: clip_low, clip_high (tokens whose ratio is beyond
    the clip on the side their advantage pushes to), ratio, kl (where the loss has one), entropy,
    each a sum over the tokens of responses with weight, and tokens, their count; where
    importance_cap is set also importance (c_t) and importance_capped (tokens whose c_t is at the
    cap).
    """
    importance_M = importance_weights(tokens, settings.importance_cap)
    per_token_M = policy_M if importance_M is None else policy_M * importance_M
    kl_M = policy_M.new_zeros(policy_M.shape)
    if kl is not None and settings.kl_weight > 0:
        assert tokens.reference_logprobs_M is not None
        kl_M = kl_estimate(tokens.logprobs_M, tokens.reference_logprobs_M, kl)
        per_token_M = per_token_M + settings.kl_weight * kl_M
    loss = (average_weights(tokens, totals, settings) * per_token_M).sum()
    counted_M = (tokens.weights_R[tokens.response_M] > 0).to(ratio_M.dtype)
    low_M, high_M = _beyond(ratio_M.detach(), tokens.advantages_M, clip)
    sums = {
        "clip_low": (low_M * counted_M).sum(),
        "clip_high": (high_M * counted_M).sum(),
        "ratio": (ratio_M.detach() * counted_M).sum(),
        **({} if kl is None else {"kl": (kl_M.detach() * counted_M).sum()}),
        "entropy": (tokens.entropy_M.detach() * counted_M).sum(),
        "tokens": counted_M.sum(),
    }
    if importance_M is not None:
        capped_M = importance_M >= settings.importance_cap
        sums["importance"] = (importance_M * counted_M).sum()
        sums["importance_capped"] = (capped_M * counted_M).sum()
    return LossOutput(loss, sums)


def _beyond(ratio_M: Tensor, advantages_M: Tensor, clip: Clip) -> tuple[Tensor, Tensor]:
    low_M = (advantages_M < 0) & (ratio_M < 1.0 - clip.low)
    return low_M, (advantages_M > 0) & (ratio_M > 1.0 + clip.high)


def importance_weights(tokens: PolicyTokens, cap: float) -> Tensor | None:
    """c_t of every token, M; None where the cap is 0."""
    if cap == 0:
        return None
    gap_M = tokens.old_logprobs_M - tokens.engine_logprobs_M
    return gap_M.exp().clamp(max=cap).detach()


def kl_estimate(logprobs_M: Tensor, reference_M: Tensor, kind: KLKind) -> Tensor:
    """Per-token estimate of KL(policy || reference) from samples of the policy."""
    x_M = logprobs_M - reference_M
    if kind == "k1":
        return x_M
    if kind == "k2":
        return 0.5 * x_M**2
    return (-x_M).clamp(max=MAX_LOG_RATIO).exp() + x_M - 1.0


def average_weights(tokens: PolicyTokens, totals: Totals, settings: AlgorithmSettings) -> Tensor:
    """a_t of every token, M."""
    weights_R = tokens.weights_R
    if settings.aggregate == "sequence":
        weights_R = weights_R / (tokens.lengths_R * totals.num_responses)
    elif settings.aggregate == "token":
        weights_R = weights_R / totals.num_tokens
    else:
        weights_R = weights_R / (settings.aggregate_constant * totals.num_responses)
    return weights_R[tokens.response_M]
