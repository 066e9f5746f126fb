"""What a problem is worth to a model, by the contest's type and by a named scoring.

    penalties     the full points, 50 less for every wrong try, three tenths of them at least;
                  ICPC contests: solved, 10 minutes for every wrong try
    full          without that: as if every first success were a first try
    decay         full, but handed in late: at a fixed timetable, problem i of m after i/m of the
                  contest, points x lose 120 x t / (250 D) by minute t of D; ICPC: t minutes
    decay+penalties

Humans' points have lost by time what they have lost; a model has no clock. So `penalties` and
`full` flatter the model, and the timetable is an assumption: name the scoring beside the rating.
Left out: the site counts no wrong try that fails to compile or fails the first test.
"""

from __future__ import annotations

from typing import Literal, get_args

from r1.benchmarks.contests.attempts import ContestResult, first_success
from r1.benchmarks.contests.frozen import FrozenContest

Scoring = Literal["penalties", "full", "decay", "decay+penalties"]
SCORINGS: tuple[Scoring, ...] = get_args(Scoring)
LOST_BY_TRY = 50.0
MINUTES_BY_TRY = 10.0
LEAST_SHARE = 0.3


def problem_results(
    contest: FrozenContest, place: int, num_right: int, num_samples: int, scoring: Scoring
) -> dict[ContestResult, float]:
    """The distribution of one problem's result; place: of the problem in the contest, from 0."""
    after = (place + 1) / len(contest.problems) if "decay" in scoring else 0.0
    found = first_success(num_right, num_samples)
    results: dict[ContestResult, float] = {} if found else {ContestResult(0.0): 1.0}
    for wrong, probability in found.items():
        counted = wrong if "penalties" in scoring else 0
        result = _worth(contest, contest.problems[place].points, after, counted)
        results[result] = results.get(result, 0.0) + probability
    return results


def _worth(contest: FrozenContest, points: float, after: float, wrong: int) -> ContestResult:
    """The result of a success; after: the part of the contest that is over."""
    if contest.type == "ICPC":
        return ContestResult(1.0, after * contest.duration_minutes + MINUTES_BY_TRY * wrong)
    left = points * (1.0 - 120.0 * after / 250.0) - LOST_BY_TRY * wrong
    return ContestResult(max(LEAST_SHARE * points, left))
