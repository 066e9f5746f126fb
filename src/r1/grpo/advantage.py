"""Group advantages: how much better a response did than its siblings.

    A_i = (r_i - mean(r)) / (std(r) + epsilon)        over the valid samples of one group

(DeepSeek-R1, section 2.1; std is "population", "sample" or, after Dr. GRPO, "none".)

Left out on purpose: process supervision (one reward a step), baselines over several groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Deviation = Literal["population", "sample", "none"]


class GroupAdvantages(NamedTuple):
    """advantages_G has 0.0 for invalid samples; has_signal is False where all of it is 0.0."""

    advantages_G: list[float]
    has_signal: bool


def group_advantages(
    rewards_G: Sequence[float], valid_G: Sequence[bool], std: Deviation, epsilon: float
) -> GroupAdvantages:
    """Compare each valid sample with the group's valid mean.

    A group whose valid rewards are all equal, or that has fewer than two, teaches nothing: its
    advantages are exactly zero. Invalid samples (the verifier failed) touch neither mean nor std.
    """
    rewards = [float(r) for r, valid in zip(rewards_G, valid_G, strict=True) if valid]
    if len(rewards) < 2 or max(rewards) - min(rewards) < 1e-12:
        return GroupAdvantages([0.0] * len(rewards_G), False)
    mean = math.fsum(rewards) / len(rewards)
    scale = 1.0
    if std != "none":
        freedom = len(rewards) - (1 if std == "sample" else 0)
        scale = math.sqrt(math.fsum((r - mean) ** 2 for r in rewards) / freedom) + epsilon
    advantages = [
        (float(r) - mean) / scale if valid else 0.0
        for r, valid in zip(rewards_G, valid_G, strict=True)
    ]
    return GroupAdvantages(advantages, True)
