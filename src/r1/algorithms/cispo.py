"""Clipped importance-sampling policy optimisation (CISPO, MiniMax-M1, 2506.13585).

GRPO's clip drops the gradient of a token whose ratio has left its bounds, and those tokens are
often the rare ones at which reasoning turns. CISPO clips the weight and keeps every token's
gradient:

    loss = sum_t a_t * [ -sg(clip(rho_t, 1 - clip_low, 1 + clip_high)) * A_t * log pi(t) ]

with rho_t the token's ratio, sg "no gradient", and A_t GRPO's group advantage. On-policy (one step
a batch) rho_t is 1 and the gradient is GRPO's.

The paper averages over tokens of the batch, does not bound the ratio from below and has no KL term:
the defaults say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from r1.algorithms.group import EPSILON, Deviation, compared_groups
from r1.algorithms.policy_gradient import Clip, KLKind, PolicyGradient, averaged_loss, policy_ratio
from r1.algorithms.protocol import RewardedGroup
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals


class CISPOSettings(AlgorithmSettings):
    """CISPO: the weight is clipped, never the gradient."""

    settled: ClassVar = {"std_epsilon": EPSILON}

    group_size: int = Field(16, ge=2, description="samples a problem, G")
    clip_low: float = Field(
        1.0, ge=0.0, description="the weight is at least 1 - clip_low; at 1 or more unbounded"
    )
    clip_high: float = Field(2.0, ge=0.0, description="the weight is at most 1 + clip_high")
    aggregate: Literal["sequence", "token", "constant"] = Field(
        "token", description='how token losses are averaged, as in [grpo]; "token" in the paper'
    )
    kl_weight: float = Field(0.0, ge=0.0, description="weight of the KL to the reference; 0 none")
    kl: KLKind = Field("k3", description="estimator of the KL to the reference")
    std: Deviation = Field(
        "population", description="deviation of a group's rewards that advantages are divided by"
    )


@dataclass(frozen=True)
class CISPO(PolicyGradient):
    """See r1.algorithms.protocol.Algorithm."""

    settings: CISPOSettings

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        return compared_groups(groups_P, self.settings.std)

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings = self.settings
        clip = Clip(settings.clip_low, settings.clip_high)
        ratio_M = policy_ratio(tokens, "token").detach()
        weight_M = ratio_M.clamp(1.0 - clip.low, 1.0 + clip.high)
        policy_M = -weight_M * tokens.advantages_M * tokens.logprobs_M
        return averaged_loss(tokens, totals, settings, policy_M, clip, ratio_M, settings.kl)


register_algorithm("cispo", CISPOSettings, CISPO)
