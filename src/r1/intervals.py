"""A mean and its 95 % interval: the percentile bootstrap (Efron 1979), or exact for few items.

    mean over P items            draw P of them with replacement, R times; the 2.5 % and 97.5 %
                                 quantiles of the R means are the interval
    items of different sizes     sum of the values drawn / sum of the sizes drawn
    means, few of them           Student's t of P - 1 degrees of freedom, where that is wider
    shares, few of them          the quantiles of the beta distribution that belong to n m successes
                                 in n trials (Clopper and Pearson 1934), m the mean of the shares

The caller decides what an item is (a problem with all of its samples, a prompt with all of its
pairs): parts of an item are drawn together.

A bootstrap can say no more than the items at hand: with 0 of 5 right its interval has no width, and
with few items other than the rest it is too narrow. `share_interval` is for figures between 0 and 1
and never has that fault. One sample a problem: n = P, and it holds in at least 95 % of draws,
whatever the true share. Several samples of each problem: n is the effective number of samples,

    n = P m (1 - m) / var(shares)    times (t(0.975, N - 1) / t(0.975, P - 1))^2, from P up to N

after Korn and Graubard (1998, Survey Methodology 24), as the US National Center for Health
Statistics reports proportions from clustered surveys. It is P where each problem is solved always
or never, and N, the number of samples, where samples vary as if they had no problems.

Left out on purpose: a guarantee for several samples of few problems of which hardly any are ever
solved and those nearly always: nothing in such a sample tells of the rare problems that it missed.

Shapes: P items, R resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from r1.distributions import beta_quantile, quantile

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
MIN_INFORMATIVE = 10
"""Items other than the median one, from which on a bootstrap is trusted."""
MIN_ITEMS = 30
"""Below, a bootstrap of a mean is too narrow: its spread is that of P draws, not of P - 1."""
ROUNDING = 1e-9
"""0.3 - 0.2 and 0.1 are the same difference."""
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


def mean_interval(
    value_P: npt.ArrayLike, *, least: float = -np.inf, seed: int = 0
) -> Interval | None:
    """Return the mean of values of any size with an interval that holds for few items, too.

    least: no value is below. NaN entries are left out first; None if that leaves none. Of one item
    nothing is known but itself.
    """
    interval = bootstrap(value_P, seed=seed)
    known = np.asarray(value_P, dtype=np.float64)
    known = known[~np.isnan(known)]
    if interval is None or not 1 < known.size < MIN_ITEMS:
        return interval
    error = float(known.std(ddof=1)) / np.sqrt(known.size)
    wide = float(quantile((1.0 + CONFIDENCE) / 2.0, known.size - 1) * error)
    low, high = max(least, interval.value - wide), interval.value + wide
    return Interval(interval.value, min(low, interval.low), max(high, interval.high))


def share_interval(
    value_P: npt.ArrayLike,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval | None:
    """Return the mean of shares, each in [0, 1], with an interval that no small count misleads.

    num_samples: N, how many samples all the shares come from; None: one each. NaN entries are left
    out first; None if that leaves none.
    """
    interval = bootstrap(value_P, seed=seed, num_resamples=num_resamples)
    return interval and widened(interval, value_P, num_samples)


def widened(
    interval: Interval, share_P: npt.ArrayLike, num_samples: float | None = None
) -> Interval:
    """Return a bootstrap's interval of a share, made honest where few items inform it.

    share_P: the items' shares, NaN where not known; their mean may differ from the interval's value
    where items have weights. num_samples: as of `share_interval`.
    """
    known = np.asarray(share_P, dtype=np.float64)
    known = known[~np.isnan(known)]
    assert np.all((known >= 0.0) & (known <= 1.0)), "a share is between 0 and 1"
    if num_informative(known) >= MIN_INFORMATIVE:
        return interval
    low, high = exact_bounds(interval.value, _effective(known, num_samples or known.size))
    return Interval(interval.value, min(low, interval.low), max(high, interval.high))


def num_informative(value_P: npt.NDArray[np.float64]) -> int:
    """Return how many items differ from the median one, by more than rounding."""
    return int(np.count_nonzero(np.abs(value_P - np.median(value_P)) > ROUNDING))


def exact_bounds(share: float, num: float) -> tuple[float, float]:
    """Return the 95 % interval of a share found in num independent trials (Clopper-Pearson)."""
    right, wrong, tail = share * num, (1.0 - share) * num, (1.0 - CONFIDENCE) / 2.0
    low = beta_quantile(tail, right, wrong + 1.0) if share > 0.0 else 0.0
    high = beta_quantile(1.0 - tail, right + 1.0, wrong) if share < 1.0 else 1.0
    return low, high


def _effective(share_P: npt.NDArray[np.float64], num_samples: float) -> float:
    """Return how many independent trials the shares of clustered samples are worth."""
    num, mean, variance = share_P.size, float(share_P.mean()), float(share_P.var())
    if num == 1 or num_samples <= num or not 0.0 < mean < 1.0:
        return float(num)
    worth = min(num * mean * (1.0 - mean) / variance if variance else np.inf, num_samples)
    tail = (1.0 + CONFIDENCE) / 2.0
    known = (quantile(tail, round(num_samples) - 1) / quantile(tail, num - 1)) ** 2
    return min(max(worth * known, num), num_samples)


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
