"""REINFORCE++ (2501.03262): token rewards with a KL inside, whitened over the whole batch.

    r_t = -kl_weight * (log pi_old(t) - log pi_ref(t)),   plus the reward at the last token
    R_t = sum of r_s over s >= t                          (gamma = 1)
    A_t = (R_t - mean(R)) / (std(R) + 1e-8)               over all trained tokens of the batch

and GRPO's clipped loss with token ratios, without a KL term. There is no critic, and with
baseline = "batch" no group either: group_size = 1 serves. With baseline = "group" (the paper's
variant "-baseline") the mean of the problem's valid rewards is taken from the reward first.

R_t is a response's reward less the KL of the tokens that are still to come, so early tokens of long
responses are charged most: the hidden length penalty that DeepSeek-R1 mentions of PPO.

The log-probabilities are the learner's, so the advantages are completed there (`finish`), over all
tokens of the update: the same on any number of ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from r1.algorithms.policy_gradient import Clip, PolicyGradient, clipped_loss, policy_ratio
from r1.algorithms.protocol import RewardedGroup, spread, with_advantages
from r1.algorithms.registry import register_algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.learner.objective import LossOutput, PolicyTokens, Totals
from r1.types import TrainBatch

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8


class ReinforcePPSettings(AlgorithmSettings):
    """REINFORCE++ and its variant with the group's mean as baseline."""

    passes_before: ClassVar[bool] = True

    group_size: int = Field(16, ge=1, description="samples a problem, G; 1 serves without a group")
    baseline: Literal["batch", "group"] = Field(
        "batch",
        description="what is taken from a reward before whitening over the batch: nothing "
        '("batch") or the mean of its problem\'s rewards ("group")',
    )
    aggregate: Literal["sequence", "token", "constant"] = Field(
        "token", description='how token losses are averaged, as in [grpo]; "token" in the paper'
    )
    clip_low: float = Field(
        0.2, ge=0.0, description="the ratio is clipped below 1 - clip_low; at 1 or more never"
    )
    clip_high: float = Field(0.2, ge=0.0, description="the ratio is clipped above 1 + clip_high")


@dataclass(frozen=True)
class ReinforcePP(PolicyGradient):
    """See r1.algorithms.protocol.Algorithm and r1.learner.objective.FinishingObjective."""

    settings: ReinforcePPSettings

    @property
    def compared_over(self) -> Literal["group", "batch"]:
        return "batch"

    def advantages(self, groups_P: Sequence[RewardedGroup]) -> list[list[list[float]]]:
        """The rewards less their baseline; `finish` makes advantages of them."""
        return [spread(self._centred(group), group.lengths_G) for group in groups_P]

    def finish(
        self, batch: TrainBatch, old: Sequence[Tensor], reference: Sequence[Tensor] | None
    ) -> TrainBatch:
        rewards = [r.advantages[0] for group in batch.groups for r in group.responses]
        returns = [[reward] * len(old_T) for reward, old_T in zip(rewards, old, strict=True)]
        if reference is not None:
            weight = self.settings.kl_weight
            returns = [
                returns_with_kl(reward, (old_T - reference_T).tolist(), weight)
                for reward, old_T, reference_T in zip(rewards, old, reference, strict=True)
            ]
        return with_advantages(batch, whiten(returns))

    def loss(self, tokens: PolicyTokens, totals: Totals) -> LossOutput:
        settings = self.settings
        clip = Clip(settings.clip_low, settings.clip_high)
        return clipped_loss(tokens, totals, settings, clip, policy_ratio(tokens, "token"), kl=None)

    def _centred(self, group: RewardedGroup) -> list[float]:
        valid = [r for r, valid in zip(group.rewards_G, group.valid_G, strict=True) if valid]
        grouped = self.settings.baseline == "group"
        mean = math.fsum(valid) / max(1, len(valid)) if grouped else 0.0
        return [r - mean for r in group.rewards_G]


def returns_with_kl(reward: float, log_ratio_T: Sequence[float], weight: float) -> list[float]:
    """R_t of every token. log_ratio_T: log pi_old - log pi_ref."""
    returns, total = [], reward
    for log_ratio in reversed(log_ratio_T):
        total -= weight * log_ratio
        returns.append(total)
    return returns[::-1]


def whiten(returns_RT: Sequence[Sequence[float]]) -> list[list[float]]:
    """Shift and scale to mean 0 and deviation 1 over all tokens; all 0 where they are equal."""
    count = sum(len(returns_T) for returns_T in returns_RT)
    mean = math.fsum(_flat(returns_RT)) / max(1, count)
    variance = math.fsum((r - mean) ** 2 for r in _flat(returns_RT)) / max(1, count)
    scale = math.sqrt(variance) + EPSILON
    return [[(r - mean) / scale for r in returns_T] for returns_T in returns_RT]


def _flat(returns_RT: Sequence[Sequence[float]]) -> Iterable[float]:
    return (r for returns_T in returns_RT for r in returns_T)


register_algorithm("reinforce_pp", ReinforcePPSettings, ReinforcePP)
