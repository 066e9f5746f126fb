"""How much better a response did than its siblings.

    A_i = (r_i - mean(r)) / (std(r) + epsilon)        over the valid samples of one group

(DeepSeek-R1, section 2.1; std is "population", "sample" or, after Dr. GRPO, "none".)

Left out on purpose: one reward a step, baselines over several groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from r1.algorithms.protocol import RewardedGroup, spread

Deviation = Literal["population", "sample", "none"]
EPSILON = 1e-6
"""Added to the deviation."""


def group_advantages(
    rewards_G: Sequence[float], valid_G: Sequence[bool], std: Deviation, epsilon: float = EPSILON
) -> list[float]:
    """Compare each valid sample with the group's valid mean; G values.

    A group whose valid rewards are all equal, or that has fewer than two, teaches nothing: its
    advantages are exactly zero. Invalid samples (the verifier failed) touch neither mean nor std
    and have the advantage 0.
    """
    rewards = [float(r) for r, valid in zip(rewards_G, valid_G, strict=True) if valid]
    if len(rewards) < 2 or max(rewards) - min(rewards) < 1e-12:
        return [0.0] * len(rewards_G)
    mean = math.fsum(rewards) / len(rewards)
    scale = 1.0
    if std != "none":
        freedom = len(rewards) - (1 if std == "sample" else 0)
        scale = math.sqrt(math.fsum((r - mean) ** 2 for r in rewards) / freedom) + epsilon
    return [
        (float(r) - mean) / scale if valid else 0.0
        for r, valid in zip(rewards_G, valid_G, strict=True)
    ]


def compared_groups(groups_P: Sequence[RewardedGroup], std: Deviation) -> list[list[list[float]]]:
    """Compare each group with itself; every token has its response's advantage (P, G, T)."""
    return [
        spread(group_advantages(group.rewards_G, group.valid_G, std), group.lengths_G)
        for group in groups_P
    ]
