"""The GRPO objective: one loss with every switch (paper.md, "The algorithm").

With log-ratio d_t = log pi(t) - log pi_old(t) and advantage A_i of response i, a token's ratio is

    "token"          rho_t = exp(d_t)                           (DeepSeekMath, 2402.03300)
    "sequence"       rho_t = exp(sum over response i of d)      (R1, equation 1, literal)
    "sequence_mean"  rho_t = exp(mean over response i of d)     (GSPO)

and the loss, to be minimised,

    loss = sum_t a_t * [ -c_t * min(rho_t A_i, clip(rho_t, 1 - clip_low, 1 + clip_high) A_i)
                         + kl_weight * KL_t ]

where the aggregation chooses a_t (w_i is the response's weight, 0 or 1):

    "sequence"  a_t = w_i / (|o_i| * responses)         mean over tokens, then over responses
    "token"     a_t = w_i / tokens                      mean over all tokens (DAPO)
    "constant"  a_t = w_i / (constant * responses)      Dr. GRPO

With a sequence ratio all tokens of a response share one rho, so that clipping keeps or drops the
response as a whole; under "sequence" the mean over its tokens is then that one term, and the loss
is R1's equation 1. Its gradient is rho_i A_i * sum_t grad log pi(t), not divided by the length.

KL stays a sum of per-token estimates in every case, aggregated by the same a_t, with
x = log pi - log pi_ref: k1 = x, k2 = x^2 / 2, k3 = exp(-x) + x - 1. (Equation 1 writes k3 on whole
sequences, where exp(-x) of a sum overflows.) The gradient goes through the estimate: of k2 it is
that of the KL itself, of k1 it is zero in expectation, so k1 serves only to compare.

c_t = min(pi_old(t) / pi_engine(t), importance_cap) corrects for an engine whose log-probabilities
differ from the learner's (truncated importance sampling); 1 where the cap is 0.

Left out on purpose: an entropy bonus, dual clipping, a value function.

Shapes: M response tokens of a micro-batch, R its responses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from r1.grpo.settings import GRPOSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals

# Only to stay finite: a sequence's summed log-ratio may leave what exp can hold.
MAX_LOG_RATIO = 30.0


@dataclass(frozen=True)
class GRPOObjective:
    """GRPO as a learner's Objective."""

    settings: GRPOSettings

    @property
    def num_minibatches(self) -> int:
        return self.settings.num_minibatches

    @property
    def num_epochs(self) -> int:
        return self.settings.num_epochs

    @property
    def needs_reference(self) -> bool:
        return self.settings.kl_weight > 0

    @property
    def reference_every(self) -> int:
        return self.settings.reference_every

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        return grpo_loss(tokens, totals, self.settings)


def grpo_loss(tokens: PolicyTokens, totals: Totals, settings: GRPOSettings) -> LossOutput:
    """The micro-batch's share of the loss, and sums of metrics over its tokens.

    sums: clip_low, clip_high (tokens whose gradient was clipped), ratio, kl, entropy, each a sum
    over the tokens of responses with weight, and tokens, their count; where importance_cap is set
    also importance (c_t) and importance_capped (tokens whose c_t is at the cap).
    """
    owner_M = tokens.response_M
    log_ratio_M = tokens.logprobs_M - tokens.old_logprobs_M
    ratio_M = torch.exp(_pool(log_ratio_M, tokens, settings.ratio).clamp(max=MAX_LOG_RATIO))
    advantage_M = tokens.advantages_R[owner_M]
    clipped_M = ratio_M.clamp(1.0 - settings.clip_low, 1.0 + settings.clip_high)
    policy_M = -torch.minimum(ratio_M * advantage_M, clipped_M * advantage_M)
    if settings.importance_cap > 0:
        gap_M = tokens.old_logprobs_M - tokens.engine_logprobs_M
        importance_M = torch.exp(gap_M).clamp(max=settings.importance_cap)
        policy_M = policy_M * importance_M
    per_token_M = policy_M
    kl_M = torch.zeros_like(policy_M)
    if settings.kl_weight > 0:
        assert tokens.reference_logprobs_M is not None
        kl_M = kl_estimate(tokens.logprobs_M, tokens.reference_logprobs_M, settings.kl)
        per_token_M = policy_M + settings.kl_weight * kl_M
    loss = (aggregation_weights(tokens, totals, settings) * per_token_M).sum()
    with torch.no_grad():
        counted_M = (tokens.weights_R[owner_M] > 0).to(ratio_M.dtype)
        low_M = (advantage_M < 0) & (ratio_M < 1.0 - settings.clip_low)
        high_M = (advantage_M > 0) & (ratio_M > 1.0 + settings.clip_high)
        sums = {
            "clip_low": (low_M * counted_M).sum(),
            "clip_high": (high_M * counted_M).sum(),
            "ratio": (ratio_M * counted_M).sum(),
            "kl": (kl_M * counted_M).sum(),
            "entropy": (tokens.entropy_M * counted_M).sum(),
            "tokens": counted_M.sum(),
        }
        if settings.importance_cap > 0:
            capped_M = importance_M >= settings.importance_cap
            sums["importance"] = (importance_M * counted_M).sum()
            sums["importance_capped"] = (capped_M * counted_M).sum()
    return LossOutput(loss, sums)


def kl_estimate(logprobs_M: Tensor, reference_M: Tensor, kind: str) -> Tensor:
    """Per-token estimate of KL(policy || reference) from samples of the policy."""
    x_M = logprobs_M - reference_M
    if kind == "k1":
        return x_M
    if kind == "k2":
        return 0.5 * x_M**2
    return torch.exp((-x_M).clamp(max=MAX_LOG_RATIO)) + x_M - 1.0


def aggregation_weights(tokens: PolicyTokens, totals: Totals, settings: GRPOSettings) -> Tensor:
    """a_t of every token, M."""
    weights_R = tokens.weights_R
    if settings.aggregate == "sequence":
        weights_R = weights_R / (tokens.lengths_R * totals.num_responses)
    elif settings.aggregate == "token":
        weights_R = weights_R / totals.num_tokens
    else:
        weights_R = weights_R / (settings.aggregate_constant * totals.num_responses)
    return weights_R[tokens.response_M]


def _pool(log_ratio_M: Tensor, tokens: PolicyTokens, ratio: str) -> Tensor:
    """Spread each response's summed or mean log-ratio over its tokens ("token": unchanged)."""
    if ratio == "token":
        return log_ratio_M
    zeros_R = log_ratio_M.new_zeros(len(tokens.lengths_R))
    pooled_R = zeros_R.index_add(0, tokens.response_M, log_ratio_M)
    if ratio == "sequence_mean":
        pooled_R = pooled_R / tokens.lengths_R
    return pooled_R[tokens.response_M]
