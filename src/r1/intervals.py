"""A mean and its 95 % interval: the percentile bootstrap (Efron 1979), numpy alone.

    mean over P items            draw P of them with replacement, R times; the 2.5 % and 97.5 %
                                 quantiles of the R means are the interval
    items of different sizes     sum of the values drawn / sum of the sizes drawn

The caller decides what an item is (a problem with all of its samples, a prompt with all of its
pairs): parts of an item are drawn together. An interval of equal values has no width.

Shapes: P items, R resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
_CHUNK = 4_000_000  # draws held in memory at once


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap(
    value_P: npt.ArrayLike, *, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> Interval | None:
    """Return the mean of value_P with its interval; None if no value is a number.

    NaN entries are left out first. The same values and seed give the same interval on every
    machine.
    """
    known = np.asarray(value_P, dtype=np.float64)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return None
    mean_R = resampled_means(known, seed=seed, num_resamples=num_resamples)
    tail = (1.0 - CONFIDENCE) / 2.0  # not 0.025 to the last bit; recorded intervals hang on it
    low, high = np.quantile(mean_R, [tail, 1.0 - tail])
    return Interval(float(known.mean()), float(low), float(high))


def resampled_means(
    value_P: npt.NDArray[np.number],
    size_P: npt.NDArray[np.number] | None = None,
    *,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
) -> npt.NDArray[np.float64]:
    """Return the means of num_resamples draws of P items with replacement, shape (R,).

    size_P: what value_P, then a sum, is a sum of; None: every item counts once.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    mean_R = np.empty(num_resamples)
    rows = max(1, _CHUNK // value_P.size)
    for start in range(0, num_resamples, rows):
        chunk = mean_R[start : start + rows]
        index_RP = generator.integers(0, value_P.size, size=(chunk.size, value_P.size))
        if size_P is None:
            chunk[:] = value_P[index_RP].mean(axis=1)
        else:
            chunk[:] = value_P[index_RP].sum(axis=1) / size_P[index_RP].sum(axis=1)
    return mean_R
