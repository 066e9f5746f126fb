"""One value of a response out of the probabilities of its steps.

    min        the worst step                       (Math-Shepherd, 2312.08935)
    product    probability that all are right       (PRM800K, 2305.20050); prefers few steps
    mean       prefers padding by easy steps
    last       what an outcome reward model sees
    soft_min   sum of w_j p_j, w = softmax(-p / T)  (PURE, 2504.15275); T -> 0 is min

An empty response has the value 0: nothing in it is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, get_args

Rule = Literal["min", "product", "mean", "last", "soft_min"]
RULES: tuple[Rule, ...] = get_args(Rule)
TEMPERATURE = 0.1


def aggregate(probabilities: Sequence[float], rule: Rule) -> float:
    """Return the value of a response whose steps are right with these probabilities."""
    return _AGGREGATES[rule](probabilities) if probabilities else 0.0


def soft_minimum(rewards: Sequence[float], temperature: float) -> list[float]:
    """Return w_j r_j of a response's steps; their sum is between the smallest and the mean."""
    if not rewards:
        return []
    least = min(rewards)
    weights = [math.exp((least - reward) / temperature) for reward in rewards]
    whole = math.fsum(weights)
    return [weight * reward / whole for weight, reward in zip(weights, rewards, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _last(values: Sequence[float]) -> float:
    return values[-1]


def _soft_min(values: Sequence[float]) -> float:
    return math.fsum(soft_minimum(values, TEMPERATURE))


_AGGREGATES: dict[Rule, Callable[[Sequence[float]], float]] = {
    "min": min,
    "product": math.prod,
    "mean": _mean,
    "last": _last,
    "soft_min": _soft_min,
}
