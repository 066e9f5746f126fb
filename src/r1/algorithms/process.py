"""Advantages of tokens from rewards of single steps (a process reward model's, say).

DeepSeekMath (2402.03300, section 4.1.3) compares all steps of a group with each other; a token is
worth what its own step and the later ones are:

    s_j = (r_j - mean of all steps of the group) / (std of them + epsilon)
    A_t = sum of s_j over the response's steps that end at t or after it

PURE (2504.15275) observes that a sum pays for many harmless steps, and takes the worst step to come
instead, by soft-min weights over the response's steps:

    w_j = exp(-r_j / T) / sum over i of exp(-r_i / T),    r*_j = w_j r_j
    G_t = sum of r*_j over the steps that end at t or after it
    A_t = G_t - mean over the other responses of their whole sum of r*

With T -> 0 the whole sum is the smallest reward. The baseline here is one number a response, never
one a step: that would favour fewer steps.

Functions alone: an algorithm that knows its steps (`process_grpo`) calls them from `advantages`.

Shapes: G samples of a group, T tokens of a response.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from r1.algorithms.group import group_advantages
from r1.steps.aggregate import soft_minimum


class Steps(NamedTuple):
    """A response's steps: ends[j] is the index of the last token of step j, in rising order;
    rewards[j] is its reward."""

    ends: list[int]
    rewards: list[float]


def later_sums(steps: Steps, length: int) -> list[float]:
    """Return for every token the rewards of its own step and the later ones; T values.

    Tokens after the last step get 0.
    """
    at = dict(zip(steps.ends, steps.rewards, strict=True))
    assert len(at) == len(steps.ends), "two steps end at one token"
    sums, total = [], 0.0
    for t in reversed(range(length)):
        total += at.get(t, 0.0)
        sums.append(total)
    return sums[::-1]


def summed_steps(
    steps_G: Sequence[Steps], lengths_G: Sequence[int], epsilon: float = 1e-6
) -> list[list[float]]:
    """DeepSeekMath's advantages of a group, (G, T); all 0 where all steps' rewards are equal."""
    flat = [reward for steps in steps_G for reward in steps.rewards]
    scaled = iter(group_advantages(flat, [True] * len(flat), "population", epsilon))
    return [
        later_sums(Steps(steps.ends, [next(scaled) for _ in steps.rewards]), length)
        for steps, length in zip(steps_G, lengths_G, strict=True)
    ]


def worst_step(
    steps_G: Sequence[Steps], lengths_G: Sequence[int], temperature: float = 0.1
) -> list[list[float]]:
    """PURE's advantages of a group, (G, T). A response on its own gets 0 everywhere."""
    if len(steps_G) < 2:
        return [[0.0] * length for length in lengths_G]
    weighted_G = [Steps(s.ends, soft_minimum(s.rewards, temperature)) for s in steps_G]
    wholes_G = [math.fsum(steps.rewards) for steps in weighted_G]
    everything = math.fsum(wholes_G)
    return [
        [g - (everything - whole) / (len(steps_G) - 1) for g in later_sums(steps, length)]
        for steps, whole, length in zip(weighted_G, wholes_G, lengths_G, strict=True)
    ]
