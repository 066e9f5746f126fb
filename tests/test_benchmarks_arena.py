"""Arena-Hard's arithmetic against stored judgments, and the Bradley-Terry fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from r1.benchmarks.judging.bradley_terry import (
    ANCHOR,
    Battle,
    expected_win_rate,
    fit_ratings,
    weighted_win_rate,
)
from r1.benchmarks.judging.games import BASELINE, MODEL, battles, outcome, tally
from r1.benchmarks.judging.protocol import StoredResponse
from r1.intervals import bootstrap
from r1.judge.asker import NoVerdict
from r1.judge.verdict import Verdict
from r1.types import Outcome, Problem

DATA = Path(__file__).parents[2] / "shared/benchmarks/arena_hard/v0.1"
STORED = "model_judgment/gpt-4-1106-preview/Meta-Llama-3.1-8B-Instruct.jsonl"
FAILED = NoVerdict(Outcome.VERIFIER_FAILED, "no verdict")


def response(name: str, *labels: str | None, summary: str | None = "text") -> StoredResponse:
    found = tuple(FAILED if label is None else Verdict(label, "") for label in labels)
    return StoredResponse(Problem(name, "p", None, "afterwards"), 0, summary, False, found)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
def test_82_judged_questions_give_the_published_score() -> None:
    lines = [json.loads(line) for line in (DATA / STORED).read_text().splitlines()]
    judged = [
        response(row["question_id"], *(game["score"] for game in row["games"])) for row in lines
    ]
    found = tally(judged)
    assert len(judged) == 82
    assert found.counts["games"] == 162  # of one question neither game was judged
    assert found.score is not None
    assert round(100.0 * found.score.value, 2) == 37.50
    assert round(100.0 * found.figures["unweighted"], 2) == 48.46  # type: ignore[operator]
    fought = [each for one in judged for each in battles(one)]
    # The published interval resamples rows, of which a "much better" has three, as if each were a
    # game of its own. A question's games together vary more.
    rows = [each.result for each in fought for _ in range(int(each.weight))]
    alike = bootstrap(rows)
    assert alike is not None
    assert (100 * alike.low, 100 * alike.high) == pytest.approx((31.48, 43.35), abs=1.5)
    assert found.score.low < alike.low < alike.high < found.score.high
    rating = fit_ratings(fought, BASELINE)[MODEL]
    assert expected_win_rate(rating, ANCHOR) == pytest.approx(0.375, abs=1e-9)
    assert found.counts["rating"] == rating
    assert sum(outcome(one) == "judge failed" for one in judged) == 1


def test_against_one_opponent_the_fit_is_the_closed_form() -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        drawn = zip(
            generator.choice([0.0, 0.5, 1.0], 30), generator.choice([1, 3], 30), strict=True
        )
        fought = [Battle("a", "b", float(result), float(weight)) for result, weight in drawn]
        rating = fit_ratings(fought, "b")["a"]
        assert expected_win_rate(rating, ANCHOR) == pytest.approx(
            weighted_win_rate(fought), abs=1e-6
        )


def test_ratings_of_several_players_are_found_again() -> None:
    true = {"a": 1000.0, "b": 1150.0, "c": 870.0}
    pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a")]
    fought = [Battle(i, j, expected_win_rate(true[i], true[j])) for i, j in pairs]
    assert fit_ratings(fought, "a") == pytest.approx(true, abs=1e-4)
    # Who won everything has a high rating, no error.
    assert fit_ratings([Battle("x", "y", 1.0)], "y")["x"] > 3000.0


@pytest.mark.parametrize(
    ("labels", "won", "name"),
    [
        (("A>>B", "B>>A"), 0.0, "wrong"),
        (("B>>A", "A>>B"), 1.0, "correct"),
        (("A>B", "A>B"), 0.5, "tied"),
        (("A>>B", "A>B"), 0.25, "wrong"),
        (("A=B", "A=B"), 0.5, "tied"),
        (("A=B", "A>B"), 0.75, "correct"),
        ((None, "A>B"), 1.0, "correct"),
        ((None, None), None, "judge failed"),
    ],
)  # fmt: skip
def test_the_sides_and_weights_of_two_games(labels, won, name) -> None:
    one = response("q", *labels)
    assert weighted_win_rate(battles(one)) == won
    assert outcome(one) == name


def test_the_orders_are_compared_and_failures_left_out() -> None:
    judged = [
        response("q1", "A>B", "B>A"),  # the baseline, twice
        response("q2", "A>B", "A>B"),  # the first answer, twice
        response("q3", "B>A", None),
        response("q4", summary=None),
    ]
    found = tally(judged)
    assert found.position_consistency == 0.5
    assert found.figures["first answer preferred"] == pytest.approx(0.75)
    assert found.counts["games"] == 7
    # Wins: q2's second game and q3's first; q4 loses six games' weight without being sent.
    assert found.score is not None
    assert found.score.value == pytest.approx(2 / 11)
    assert [outcome(one) for one in judged] == ["wrong", "tied", "correct", "unfinished"]
    assert tally([response("q", None, None)]).score is None
