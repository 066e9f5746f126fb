"""The site's rating change, and the performance that Carrot derives from it, in whole numbers.

    rank            of tied competitors the last place
    change          (need - rating) / 2, cut to a whole number, where need is the rating whose seed
                    is the geometric mean of rank and own seed; 1 at least
    corrections     to all: -(mean change) - 1, then so that the top 4 sqrt(N) do not gain, by 10
                    at most
    performance     the rating from which the corrected change would not be positive

A competitor is not its own opponent. Facts of the site's published system; written for this test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from r1.benchmarks.contests.elo import seeds

LOW, HIGH = -500, 6000
Whole = npt.NDArray[np.int64]


class Reference(NamedTuple):
    change: Whole
    correction: int
    performance: Whole


def reference(rank: Whole, rating: Whole) -> Reference:
    """rank, rating: of N competitors, whole numbers, shape (N,)."""
    seed_of_all = seeds(np.arange(LOW, HIGH + 1), rating)

    def seed(x: Whole) -> npt.NDArray[np.float64]:
        return seed_of_all[x - LOW] - 1 / (1 + 10 ** ((x - rating) / 400))

    def first(holds: Callable[[Whole], npt.NDArray[np.bool_]]) -> Whole:
        low, high = np.full(rank.size, LOW), np.full(rank.size, HIGH)
        while (low < high).any():
            middle = (low + high) // 2
            held = holds(middle)
            high = np.where(held, middle, high)
            low = np.where(held, low, np.minimum(middle + 1, high))
        return low

    def change(x: Whole) -> Whole:
        middle = np.sqrt(rank * seed(x))
        need = np.maximum(first(lambda y: seed(y) < middle) - 1, 1)
        return np.trunc((need - x) / 2).astype(np.int64)

    raw = change(rating)
    every = int(np.trunc(-raw.sum() / rank.size)) - 1
    top = np.argsort(-rating, kind="stable")[: min(4 * round(rank.size**0.5), rank.size)]
    best = min(max(int(np.trunc(-(raw + every)[top].sum() / top.size)), -10), 0)
    correction = every + best
    return Reference(raw + correction, correction, first(lambda x: change(x) + correction <= 0))
