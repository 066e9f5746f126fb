r"""Whether a score is told apart from a published figure, of which only the figure is known.

    |a - b| > 2.576 / 1.960 sqrt(w_a^2 + w_b^2)            p < 0.01, as the paper marks its table

a: the score, b: the published figure, w: half of their 95 % intervals, each on the side towards
the other (MOVER: Zou and Donner 2008). b's is exact for one sample of each of the benchmark's
questions, and so as wide as k samples' or wider. Both were asked the same questions, so their
errors go together; they are counted as independent, which hides differences, and makes none up. Two
folders of results are compared more sharply, question by question (r1.benchmarks.running.compare).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from r1.intervals import exact_bounds

ABOVE, BELOW, SAME = "↑", "↓", "≈"
LEGEND = (
    f"{ABOVE} {BELOW} above, below R1's published figure, p < 0.01; {SAME} not told apart from it."
)
_QUANTILES = 2.5758 / 1.9600


def mark_against(score: Mapping[str, float], published: float, num_questions: int) -> str:
    """ABOVE, BELOW or SAME. score: in [0, 1] with its interval; published: in per cent, of so many
    questions."""
    own, theirs = score["value"], published / 100.0
    low, high = exact_bounds(theirs, num_questions)
    above = own > theirs
    width = own - score["low"] if above else score["high"] - own
    width_theirs = high - theirs if above else theirs - low
    if abs(own - theirs) <= _QUANTILES * math.hypot(width, width_theirs):
        return SAME
    return ABOVE if above else BELOW
