"""95 % intervals of differences: paired on the same problems, or of two independent sets.

paired      resample the problems, mean of after - before
unpaired    difference of the values; half widths add in quadrature
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from r1.intervals import Interval, bootstrap


class Difference(NamedTuple):
    """After minus before. paired: over num_problems that both have; else from two intervals."""

    interval: Interval
    paired: bool
    num_problems: int


def paired(before: Mapping[str, float], after: Mapping[str, float]) -> Difference | None:
    """Return the mean of after - before over the problems that both have; None without any."""
    shared = sorted(before.keys() & after.keys())
    interval = bootstrap([after[name] - before[name] for name in shared])
    return None if interval is None else Difference(interval, True, len(shared))


def unpaired(before: Interval, after: Interval) -> Difference:
    """Return after - before of two sets of problems; wider than `paired` if they share problems."""
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Difference(Interval(value, value - down, value + up), False, 0)
