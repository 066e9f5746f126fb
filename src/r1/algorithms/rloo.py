"""REINFORCE leave-one-out (RLOO, 2402.14740; Kool et al. 2019).

A response is compared with the mean of the *other* responses to its problem, an unbiased baseline:

    A_i = r_i - mean of r_j over j != i = (r_i - mean(r)) * n / (n - 1)

and the whole response is one action: its gradient is A_i * sum_t grad log pi(t), divided neither by
its length nor by a deviation. The ratio of a sequence gives exactly that on-policy; behind it,
where a batch is learnt from in several steps, it is clipped as in GRPO, which the paper does not
need.

Left out on purpose: the KL inside the reward, as the paper has it. It is a term of the loss; its
estimator "k2" has the gradient of the KL itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from r1.algorithms.group import group_advantages
from r1.algorithms.policy_gradient import Clip, KLKind, PolicyGradient, clipped_loss, policy_ratio
from r1.algorithms.protocol import RewardedGroup, spread
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals


class RLOOSettings(AlgorithmSettings):
    """REINFORCE with the leave-one-out baseline."""

    group_size: int = Field(16, ge=2, description="samples a problem, G")
    ratio: Literal["token", "sequence"] = Field(
        "sequence",
        description='new over old probability: of the whole "sequence", as one action, or of each '
        '"token"',
    )
    clip_low: float = Field(
        0.2, ge=0.0, description="the ratio is clipped below 1 - clip_low; at 1 or more never"
    )
    clip_high: float = Field(0.2, ge=0.0, description="the ratio is clipped above 1 + clip_high")
    kl: KLKind = Field("k2", description="estimator of the KL to the reference")


@dataclass(frozen=True)
class RLOO(PolicyGradient):
    """See r1.algorithms.protocol.Algorithm."""

    settings: RLOOSettings

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        return [spread(leave_one_out(g.rewards_G, g.valid_G), g.lengths_G) for g in groups_P]

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings = self.settings
        clip = Clip(settings.clip_low, settings.clip_high)
        return clipped_loss(
            tokens, totals, settings, clip, policy_ratio(tokens, settings.ratio), settings.kl
        )


def leave_one_out(rewards_G: Sequence[float], valid_G: Sequence[bool]) -> list[float]:
    """Compare each valid sample with the mean of the other valid ones; 0 for the others."""
    num_valid = sum(valid_G)
    centred_G = group_advantages(rewards_G, valid_G, std="none", epsilon=0.0)
    return [value * num_valid / max(1, num_valid - 1) for value in centred_G]


register_algorithm("rloo", RLOOSettings, RLOO)
