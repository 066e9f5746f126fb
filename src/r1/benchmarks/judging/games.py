"""Arena-Hard's figures from two games a response: the baseline is A in the first, B in the second.

    label     A>>B  A>B  A=B  B>A  B>>A
    A's win   1     1    1/2  0    0          weight 3, 1, 1, 1, 3

Position consistency is the share of responses whose two games prefer the same answer (or none).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r1.benchmarks.judging.bradley_terry import Battle, fit_ratings, weighted_win_rate
from r1.benchmarks.judging.protocol import StoredResponse, Tally, by_question
from r1.intervals import CONFIDENCE, Interval, resampled_means, widened
from r1.judge.pairwise import MARGINS, first_preferred
from r1.judge.verdict import Verdict

MODEL, BASELINE = "model", "baseline"
MUCH = 3.0
"""How often a "much better" counts."""


def battle(label: str, baseline_is_a: bool) -> Battle:
    """The model's battle by a game's label."""
    first = first_preferred(label)
    result = 1.0 - first if baseline_is_a else first
    return Battle(MODEL, BASELINE, result, MUCH if abs(MARGINS[label]) == 2 else 1.0)


def battles(response: StoredResponse) -> list[Battle]:
    """The games that have a verdict; without a summary both are lost as much worse."""
    if response.unasked:
        return [Battle(MODEL, BASELINE, 0.0, MUCH)] * 2
    return [
        battle(found.label, baseline_is_a=game == 0)
        for game, found in enumerate(response.found)
        if isinstance(found, Verdict)
    ]


def outcome(response: StoredResponse) -> str:
    """Won is "correct", lost "wrong", by the mean margin of the games."""
    if response.unasked:
        return response.unasked
    rate = weighted_win_rate(battles(response))
    if rate is None:
        return "judge failed"
    return "tied" if rate == 0.5 else "correct" if rate > 0.5 else "wrong"


def tally(responses: Sequence[StoredResponse]) -> Tally:
    """The score with an interval over questions, and what the judge made of the two orders."""
    fought = [battle for response in responses for battle in battles(response)]
    even = weighted_win_rate([each._replace(weight=1.0) for each in fought])
    pairs = [battles(response) for response in responses if not response.unasked]
    whole = [pair for pair in pairs if len(pair) == 2]
    agree = [first.result == second.result for first, second in whole]
    # The baseline is A in the first game, the model in the second.
    as_a = [(1.0 - first.result + second.result) / 2.0 for first, second in whole]
    figures = {
        "unweighted": even,
        "first answer preferred": float(np.mean(as_a)) if as_a else None,
    }
    consistency = float(np.mean(agree)) if agree else None
    counts = {"games": float(len(fought))}
    if 0.0 < (weighted_win_rate(fought) or 0.0) < 1.0:
        counts["rating"] = fit_ratings(fought, BASELINE)[MODEL]
    return Tally(win_rate(responses), figures, consistency, counts)


def win_rate(responses: Sequence[StoredResponse]) -> Interval | None:
    """The weighted win rate; its interval resamples questions, the games of one together."""
    groups = [
        [each for response in samples for each in battles(response)]
        for samples in by_question(responses).values()
    ]
    groups = [group for group in groups if group]
    value = weighted_win_rate([each for group in groups for each in group])
    if value is None:
        return None
    won_P = np.array([sum(each.result * each.weight for each in group) for group in groups])
    size_P = np.array([sum(each.weight for each in group) for group in groups])
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(resampled_means(won_P, size_P), [tail, 1.0 - tail])
    return widened(Interval(value, float(low), float(high)), won_P / size_P, len(groups))
