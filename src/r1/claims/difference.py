"""The interval of a paired difference over seeds and problems, and the verdict that follows.

    d[s, p] = value of the arm - value of the one it is compared with, seed s, problem p

    interval   mean of d over S seeds drawn with replacement x P problems drawn with replacement,
               2.5 % and 97.5 % of 4,000 such draws (problems with all their samples); wider where
               fewer than ten problems differ from the median one (r1.significance)
    of a run   a measure with one value a run: the mean of the seeds' differences and Student's
               interval about it; of a cost (bytes, tokens) the least and the largest of them

    verdict    "shown" where the whole interval is on the expected side of the threshold,
               "shown the other way" where all of it is on the other side, else "not told apart"

With several seeds a verdict also needs every seed's own mean on its side: an interval from three
seeds knows little of the next one. With one seed the interval covers problems only; a measure with
one value a run has no interval then, and no verdict unless it is a cost. Where two arms do not
differ the rule still gives a verdict, of three seeds in 1 to 5 of 100 cases, of two in 2 to 6, of
one in 7 to 19 (bench/verdicts.py).

Shapes: S seeds, P problems, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from r1.claims.settings import COSTS, ComparisonSettings
from r1.intervals import Interval
from r1.significance import widened_difference

NUM_RESAMPLES = 4000
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % of Student's distribution with 1, 2, ... degrees of freedom."""
Floats = npt.NDArray[np.float64]


class ClaimVerdict(StrEnum):
    """Of a comparison, or of a whole claim."""

    SHOWN = "shown"
    OTHER_WAY = "shown the other way"
    NOT_TOLD_APART = "not told apart"
    TO_COME = "not measured yet"


class SeedsDifference(NamedTuple):
    """arm - than: over all seeds, and each seed's own mean. num_problems: 0 for one value a run."""

    interval: Interval
    of_seeds: list[float]
    num_problems: int


def over_problems(
    arm_S: Sequence[Mapping[str, float]],
    than_S: Sequence[Mapping[str, float]],
    largest: float = math.inf,
) -> SeedsDifference | None:
    """Return the difference over the problems that all runs have; None where there are none.

    largest: what a problem's difference may be, 1 of shares.
    """
    shared = sorted(set.intersection(*(set(run) for run in (*arm_S, *than_S))))
    if not shared:
        return None
    pairs = zip(arm_S, than_S, strict=True)
    difference_SP = np.array([[a[p] - b[p] for p in shared] for a, b in pairs])
    mean_R = _resampled(difference_SP)
    low, high = np.quantile(mean_R, [0.025, 0.975])
    drawn = Interval(float(difference_SP.mean()), float(low), float(high))
    interval = widened_difference(drawn, difference_SP.mean(axis=0), largest)
    return SeedsDifference(interval, difference_SP.mean(axis=1).tolist(), len(shared))


def of_runs(arm_S: Sequence[float], than_S: Sequence[float], cost: bool) -> SeedsDifference:
    """Return the difference of a measure that has one value a run. cost: it is a fact of each."""
    found = [a - b for a, b in zip(arm_S, than_S, strict=True)]
    mean, low, high = float(np.mean(found)), min(found), max(found)
    if not cost and len(found) > 1:
        times = _STUDENT[min(len(found) - 1, len(_STUDENT)) - 1]
        half = times * float(np.std(found, ddof=1)) / len(found) ** 0.5
        low, high = mean - half, mean + half
    return SeedsDifference(Interval(mean, low, high), found, 0)


def _resampled(difference_SP: Floats) -> Floats:
    """Return R means of seeds and problems drawn with replacement, each apart; always the same."""
    generator = np.random.Generator(np.random.PCG64(0))
    num_seeds, num_problems = difference_SP.shape
    seed_RS = generator.integers(0, num_seeds, size=(NUM_RESAMPLES, num_seeds))
    problem_RP = generator.integers(0, num_problems, size=(NUM_RESAMPLES, num_problems))
    draws = zip(seed_RS, problem_RP, strict=True)
    return np.array(
        [difference_SP[np.ix_(seed_S, problem_P)].mean() for seed_S, problem_P in draws]
    )


def verdict_of(comparison: ComparisonSettings, found: SeedsDifference) -> ClaimVerdict:
    """Return the verdict by the comparison's rule."""
    one_value = found.num_problems == 0 and len(found.of_seeds) == 1
    if one_value and comparison.measure not in COSTS:
        return ClaimVerdict.NOT_TOLD_APART
    margin, (_, low, high) = comparison.margin, found.interval
    if comparison.expect == "equal":
        inside = [abs(mean) < margin for mean in found.of_seeds]
        if -margin < low and high < margin and all(inside):
            return ClaimVerdict.SHOWN
        means = found.of_seeds
        outside = min(low, *means) > margin or max(high, *means) < -margin
        return ClaimVerdict.OTHER_WAY if outside else ClaimVerdict.NOT_TOLD_APART
    sign = 1.0 if comparison.expect in ("more", "no_less") else -1.0
    threshold = margin if comparison.expect in ("more", "less") else -margin
    near = [sign * bound - threshold for bound in (low, high)]
    means = [sign * mean - threshold for mean in found.of_seeds]
    if min(near) > 0 and min(means) > 0:
        return ClaimVerdict.SHOWN
    if max(near) < 0 and max(means) < 0:
        return ClaimVerdict.OTHER_WAY
    return ClaimVerdict.NOT_TOLD_APART


def whole_verdict(verdicts: Sequence[ClaimVerdict]) -> ClaimVerdict:
    """Return a claim's verdict: shown where all of its comparisons are, the other way where one
    is."""
    for verdict in (ClaimVerdict.OTHER_WAY, ClaimVerdict.TO_COME, ClaimVerdict.NOT_TOLD_APART):
        if verdict in verdicts:
            return verdict
    return ClaimVerdict.SHOWN
