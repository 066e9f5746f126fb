"""Group relative policy optimisation (DeepSeekMath, 2402.03300; DeepSeek-R1, section 2.1).

Each of a problem's G responses is compared with its siblings:

    A_i = (r_i - mean(r)) / (std(r) + epsilon)                         (`group.group_advantages`)

With log-ratio d_t = log pi(t) - log pi_old(t), a token's ratio is

    "token"          rho_t = exp(d_t)                           (DeepSeekMath)
    "sequence"       rho_t = exp(sum over the response of d)    (R1, equation 1, literal)
    "sequence_mean"  rho_t = exp(mean over the response of d)   (GSPO)

and the loss, to be minimised,

    loss = sum_t a_t * [ -c_t * min(rho_t A_t, clip(rho_t, 1 - clip_low, 1 + clip_high) A_t)
                         + kl_weight * KL_t ]

where a_t averages over tokens and responses, c_t corrects for the engine's probabilities and KL_t
holds the policy to the reference (both in `policy_gradient`).

With a sequence ratio all tokens of a response share one rho, so that clipping keeps or drops the
response as a whole; under aggregate = "sequence" the mean over its tokens is then that one term,
and the loss is R1's equation 1. Its gradient is rho_i A_i * sum_t grad log pi(t), not divided by
length.

Left out on purpose: an entropy bonus, dual clipping, a value function. Rewards for single steps are
`process_grpo`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from r1.algorithms.group import EPSILON, Deviation, compared_groups
from r1.algorithms.policy_gradient import Clip, KLKind, PolicyGradient, clipped_loss, policy_ratio
from r1.algorithms.protocol import RewardedGroup
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals


class GRPOSettings(AlgorithmSettings):
    """GRPO and its descendants: DAPO, Dr. GRPO, GSPO are values of these settings."""

    settled: ClassVar = {"std_epsilon": EPSILON}

    group_size: int = Field(16, ge=2, description="samples a problem, G")
    ratio: Literal["token", "sequence", "sequence_mean"] = Field(
        "token",
        description='new over old probability: of a "token", of the whole "sequence" (R1\'s '
        'equation 1, literal), or "sequence_mean", its geometric mean (GSPO)',
    )
    clip_low: float = Field(
        0.2, ge=0.0, description="the ratio is clipped below 1 - clip_low; at 1 or more never"
    )
    clip_high: float = Field(0.2, ge=0.0, description="the ratio is clipped above 1 + clip_high")
    kl: KLKind = Field("k3", description="estimator of the KL to the reference")
    std: Deviation = Field(
        "population",
        description="deviation of a group's rewards that advantages are divided by; "
        '"none" divides by nothing (Dr. GRPO)',
    )


@dataclass(frozen=True)
class GRPO(PolicyGradient):
    """See r1.algorithms.protocol.Algorithm."""

    settings: GRPOSettings

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        return compared_groups(groups_P, self.settings.std)

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings = self.settings
        ratio_M = policy_ratio(tokens, settings.ratio)
        clip = Clip(settings.clip_low, settings.clip_high)
        return clipped_loss(tokens, totals, settings, clip, ratio_M, settings.kl)


register_algorithm("grpo", GRPOSettings, GRPO)
