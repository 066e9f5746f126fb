"""95 % intervals of differences: paired on the same problems, or of two independent sets.

paired      resample the problems, mean of after - before; wider where fewer than ten problems
            differ from the median one (r1.significance): equal differences have no spread to draw
unpaired    difference of the values; half widths add in quadrature
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from r1.intervals import Interval, bootstrap
from r1.significance import widened_difference


class Difference(NamedTuple):
    """After minus before. paired: over num_problems that both have; else from two intervals."""

    interval: Interval
    paired: bool
    num_problems: int


def paired(
    before: Mapping[str, float],
    after: Mapping[str, float],
    largest: float = math.inf,
    num_samples: int = 1,
) -> Difference | None:
    """Return the mean of after - before over the problems that both have; None without any.

    largest: what a problem's difference may be, 1 of shares. num_samples: of a problem.
    """
    shared = sorted(before.keys() & after.keys())
    difference_P = np.array([after[name] - before[name] for name in shared])
    drawn = bootstrap(difference_P)
    if drawn is None:
        return None
    interval = widened_difference(drawn, difference_P, largest, num_samples)
    return Difference(interval, True, len(shared))


def unpaired(before: Interval, after: Interval) -> Difference:
    """Return after - before of two sets of problems; wider than `paired` if they share problems."""
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Difference(Interval(value, value - down, value + up), False, 0)
