"""95 % intervals of differences: the same problems resampled together, or two that are independent.

paired      resample the problems, mean of after - before
unpaired    difference of the values; half widths add in quadrature
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from r1.intervals import Interval, bootstrap


class Difference(NamedTuple):
    """after - before. paired: over num_problems that both have; else from two intervals."""

    interval: Interval
    paired: bool
    num_problems: int


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
