"""What k independent samples of a problem are worth as attempts of one contestant.

A contestant hands in the k samples in a random order until one is accepted. With c right ones of k,
the first success stands at place j (after j - 1 wrong tries) with the probability

    P(j) = C(k - j, c - 1) / C(k, c)         and none is accepted where c = 0

which is (1 - p)^(j-1) p without replacement. Problems are independent of each other, so that the
distribution of a contest's result is the convolution of its problems' (exact; nothing is drawn).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class ContestResult(NamedTuple):
    """A contest's result: points or solved problems (more is better), then penalty (less is)."""

    points: float
    penalty: float = 0.0


Distribution = Mapping[ContestResult, float]
"""ContestResult -> its probability; they sum to 1."""


def first_success(num_right: int, num_samples: int) -> dict[int, float]:
    """Number of wrong tries before the first success -> its probability; {} where none is right."""
    if not 0 <= num_right <= num_samples:
        raise ValueError(f"{num_right} right samples of {num_samples}")
    if num_right == 0:
        return {}
    orders = math.comb(num_samples, num_right)
    return {
        wrong: math.comb(num_samples - wrong - 1, num_right - 1) / orders
        for wrong in range(num_samples - num_right + 1)
    }


def summed(problems: Iterable[Distribution]) -> dict[ContestResult, float]:
    """The distribution of the sum of independent problems' results."""
    total: dict[ContestResult, float] = {ContestResult(0.0): 1.0}
    for problem in problems:
        added: dict[ContestResult, float] = defaultdict(float)
        for before, p in total.items():
            for result, q in problem.items():
                after = ContestResult(
                    round(before.points + result.points, 6),
                    round(before.penalty + result.penalty, 6),
                )
                added[after] += p * q
        total = added
    return dict(total)
