"""95 % intervals of differences: the same problems resampled together, or two that are independent.

The paired bootstrap is that of evaluate/estimators.py, to the bit; the report may import nothing
above a run folder, so these lines stand here again, and a test holds the two together.

    paired      resample the problems, mean of after - before
    unpaired    difference of the values; half widths add in quadrature
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
_CHUNK = 4_000_000  # bootstrap draws held in memory at once


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """after - before. paired: over num_problems that both have; else from two intervals."""

    interval: Interval
    paired: bool
    num_problems: int


def bootstrap(values: npt.ArrayLike, seed: int = 0) -> Interval | None:
    """The mean over problems with its percentile bootstrap interval; None of no values."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return None
    generator = np.random.Generator(np.random.PCG64(seed))
    mean_R = np.empty(NUM_RESAMPLES)
    rows = max(1, _CHUNK // known.size)
    for start in range(0, NUM_RESAMPLES, rows):
        chunk = mean_R[start : start + rows]
        index_RP = generator.integers(0, known.size, size=(chunk.size, known.size))
        chunk[:] = known[index_RP].mean(axis=1)
    tail = (1.0 - CONFIDENCE) / 2.0  # not 0.025 to the last bit, as there
    low, high = np.quantile(mean_R, [tail, 1.0 - tail])
    return Interval(float(known.mean()), float(low), float(high))


def paired(before: Mapping[str, float], after: Mapping[str, float]) -> Difference | None:
    """The mean of after - before over the problems both have a figure of; None of no problem."""
    shared = sorted(before.keys() & after.keys())
    interval = bootstrap([after[name] - before[name] for name in shared])
    return None if interval is None else Difference(interval, True, len(shared))


def unpaired(before: Interval, after: Interval) -> Difference:
    """after - before of two sets of problems; wider than `paired` where they share problems."""
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Difference(Interval(value, value - down, value + up), False, 0)
