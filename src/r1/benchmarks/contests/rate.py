"""A model's rank, rating and percentile in a contest, and over contests.

    expected rank     1 + the expected number of competitors with a better result
    rating            the rating whose seed is the expected rank (`elo.py`)
    over results      the mean, over the distribution of results, of the rating of each one's rank
    beaten            the expected share of the contest's competitors with a worse result

Over contests all are plain means. The paper's percentile is the mean share of competitors beaten,
no function of its rating: (2029, 96.3), (1444, 80.4), (1134, 58.7). A percentile by a snapshot of
all users' ratings is another figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from r1.benchmarks.contests.attempts import Distribution, summed
from r1.benchmarks.contests.elo import performance, performances, share_below
from r1.benchmarks.contests.frozen import FrozenContest
from r1.benchmarks.contests.scoring import Scoring, problem_results

_PENALTY = 1e6  # a point outweighs every penalty


class Tries(NamedTuple):
    """The samples of one problem that have a verdict, and the right ones of them."""

    num_right: int
    num_samples: int


class ContestRating(NamedTuple):
    """A model in one contest. bound: the highest rating that it can show; clamped: at its end."""

    contest_id: int
    expected_rank: float
    rating: float
    clamped: bool
    rating_over_results: float
    beaten: float
    bound: float
    num_competitors: int


def rate(
    contest: FrozenContest, tries: Mapping[str, Tries], scoring: Scoring = "penalties"
) -> ContestRating:
    """Rate a model; tries: by the problem's index. A problem without any counts as unsolved."""
    results = summed(
        problem_results(contest, place, *tries.get(problem.index, Tries(0, 1)), scoring)
        for place, problem in enumerate(contest.problems)
    )
    return rate_results(contest, results)


def rate_results(contest: FrozenContest, results: Distribution) -> ContestRating:
    """Rate a distribution of results of the whole contest."""
    table = contest.competitors
    human_N = np.sort(_keys(table[:, 0], table[:, 1]))
    rating_N = table[:, 2]
    key_R = _keys(*np.array(list(results), dtype=np.float64).T)
    probability_R = np.array(list(results.values()))
    better_R = human_N.size - np.searchsorted(human_N, key_R, side="right")
    worse_R = np.searchsorted(human_N, key_R, side="left")
    rank = 1.0 + float(probability_R @ better_R)
    found = performance(rank, rating_N)
    rank_U, place_R = np.unique(1 + better_R, return_inverse=True)
    return ContestRating(
        contest.contest_id,
        rank,
        found.rating,
        found.clamped,
        float(probability_R @ performances(rank_U, rating_N)[place_R]),
        float(probability_R @ worse_R) / human_N.size,
        performance(1.5, rating_N).rating,
        human_N.size,
    )


def _keys(
    points: npt.NDArray[np.float64], penalty: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Results as numbers: more points first, then less penalty."""
    return np.round(points, 6) * _PENALTY - np.round(penalty, 6)


def summary(
    rated: Sequence[ContestRating], snapshot: npt.NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """The means over contests. snapshot: ratings of all users, for the percentile by it."""
    rating = float(np.mean([each.rating for each in rated]))
    return {
        "rating": rating,
        "rating_over_results": float(np.mean([each.rating_over_results for each in rated])),
        "beaten": float(np.mean([each.beaten for each in rated])),
        "snapshot_percentile": None if snapshot is None else share_below(rating, snapshot),
        "bound": float(np.mean([each.bound for each in rated])),
        "num_clamped": sum(each.clamped for each in rated),
        "contests": [each._asdict() for each in rated],
    }
