"""Is a paired difference real: interval, p-value, smallest difference that could have been seen.

The unit is the problem: d = (second's share correct) - (first's share correct), however many
samples each share comes from. With mean m and standard deviation s of d over P problems:

    interval     m -+ t(0.975, P - 1) s / sqrt(P)            errors clustered by problem
    p            of m / (s / sqrt(P)) under t(P - 1)
    detectable   (t(1 - level / 2, df) + t(0.8, df)) error   seen with 80 % power at that level

Where fewer than MIN_INFORMATIVE problems have a d other than the median one, rounding aside,
s / sqrt(P) is close to 0 by chance. Two problems are then added to it, at +1 / sqrt(k) and
-1 / sqrt(k) (k samples a problem; at k = 1 the adjustment of Agresti and Min 2005), and the wider
interval counts.

One sample a problem: the p-value is McNemar's, exact at every count: the n problems that only one
of the two solves fall to either side as a fair coin does (McNemar 1947; Dietterich 1998).
Several tests: Holm's step-down correction (Holm 1979) of their p-values. Intervals stay as they
are, so that one can leave out 0 where the corrected or the exact p-value is above 0.05.

By simulation (tests/test_evaluate_significance.py) intervals hold in 93 to 97 % of draws where ten
problems or more are informative, and more often where fewer are. Not mended: many samples of few
problems of which one or two moved, all the same way, so that d is very skewed (20 to 50 problems,
k = 64, nearly all of them always or never solved: the intervals held in 91 to 93 % of draws).

Shapes: P problems, R draws (1 outside of simulations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from r1.distributions import quantile, two_sided_p
from r1.intervals import CONFIDENCE, MIN_INFORMATIVE, ROUNDING, Interval, num_informative

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
POWER = 0.8


class ErrorEstimate(NamedTuple):
    """A standard error of the mean difference, one a draw (R,), and its degrees of freedom."""

    error_R: Floats
    df: int


def standard_errors(difference_RP: Floats, num_samples: float) -> list[ErrorEstimate]:
    """Return the estimates of the mean's standard error, of which the wider interval counts.

    num_samples: k, how many samples a problem's share comes from. An estimate that is not to be
    used for a draw is 0 there.
    """
    num_problems = difference_RP.shape[1]
    median_R1 = np.median(difference_RP, axis=1, keepdims=True)
    is_sparse_R = (abs(difference_RP - median_R1) > ROUNDING).sum(axis=1) < MIN_INFORMATIVE
    padded = num_problems + 2
    sum_R, square_R = difference_RP.sum(axis=1), (difference_RP**2).sum(axis=1) + 2 / num_samples
    variance_R = (square_R - sum_R**2 / padded) / (padded - 1)
    added_R = np.where(is_sparse_R, np.sqrt(variance_R / padded), 0.0)
    estimates = [ErrorEstimate(added_R, padded - 1)]
    if num_problems > 1:
        plain_R = difference_RP.std(axis=1, ddof=1) / math.sqrt(num_problems)
        estimates.append(ErrorEstimate(plain_R, num_problems - 1))
    return estimates


def half_widths(estimates: Sequence[ErrorEstimate], confidence: float = CONFIDENCE) -> Floats:
    """Return half the width of each draw's interval, shape (R,)."""
    tail = (1 + confidence) / 2
    widths = [error_R * quantile(tail, df) for error_R, df in estimates]
    return np.max(widths, axis=0)


def detectable_differences(estimates: Sequence[ErrorEstimate], level: float = LEVEL) -> Floats:
    """Return the true difference that would be seen in 80 % of repetitions, shape (R,)."""
    sizes = [
        error_R * (quantile(1 - level / 2, df) + quantile(POWER, df)) for error_R, df in estimates
    ]
    return np.max(sizes, axis=0)


class PairedDifference(NamedTuple):
    """What is known of a mean difference; detectable: the smallest that could have been seen."""

    interval: Interval
    p: float
    detectable: float


def paired_difference(
    difference_P: Floats, num_samples: float, level: float = LEVEL
) -> PairedDifference:
    """Return the mean of at least one problem's difference with its interval and t-test.

    level: at which the test is made (less than LEVEL where it is one of several).
    """
    estimates = standard_errors(difference_P[None, :], num_samples)
    mean, width = float(difference_P.mean()), float(half_widths(estimates)[0])
    interval = Interval(mean, max(mean - width, -1.0), min(mean + width, 1.0))
    known = [(float(error_R[0]), df) for error_R, df in estimates if error_R[0] > 0]
    p = max(two_sided_p(mean / error, df) for error, df in known) if known else 1.0
    return PairedDifference(interval, p, float(detectable_differences(estimates, level)[0]))


def widened_difference(
    interval: Interval, difference_P: Floats, largest: float = 1.0, num_samples: float = 1
) -> Interval:
    """Return a bootstrap's interval of a mean difference, made honest where few problems inform it.

    A bootstrap of equal differences has no width. Two problems are added as above where fewer than
    MIN_INFORMATIVE differ from the median one; the wider interval counts. largest: what a
    difference may be, 1 of shares. num_samples: k, of 1 the added problems lie furthest apart.
    """
    if num_informative(difference_P) >= MIN_INFORMATIVE:
        return interval
    width = float(half_widths(standard_errors(difference_P[None, :], num_samples))[0])
    mean = interval.value
    low, high = max(mean - width, -largest), min(mean + width, largest)
    return Interval(mean, min(interval.low, low), max(interval.high, high))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value of the counts of problems that only one side solves."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    log_n = math.lgamma(n + 1) - n * math.log(2)
    tail = math.fsum(
        math.exp(log_n - math.lgamma(i + 1) - math.lgamma(n - i + 1)) for i in range(fewer + 1)
    )
    return min(1.0, 2 * tail)


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p-values corrected for all of them being tested: the i-th smallest of m times
    m - i + 1, never less than one before it, at most 1."""
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted
