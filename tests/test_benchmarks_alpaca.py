"""AlpacaEval's arithmetic against the published files, and its judge's replies as stored."""

from __future__ import annotations

import ast
import csv
import json
from pathlib import Path

import numpy as np
import pytest

from r1.benchmarks.judging.length_control import (
    MIN_QUESTIONS,
    LengthControl,
    fit_length_control,
    length_term,
)
from r1.benchmarks.judging.logistic import fit_logistic, sigmoid
from r1.benchmarks.judging.preferences import NUM_REFITS, AlpacaRow, controlled_win_rate, tally
from r1.judge.first_token import read_label
from r1.judge.http_reply import read_replies
from r1.judge.scrub import KeyScrubber
from r1.judge.verdict import Verdict

DATA = Path(__file__).parents[2] / "shared/benchmarks/alpaca_eval"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
MADE_TO_FOOL = {"NullModel", "gpt4_gamed"}


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def leaderboard() -> dict[str, dict[str, float]]:
    rows = table("weighted_alpaca_eval_gpt4_turbo_leaderboard.csv")
    told = ("", "mode")
    return {row[""]: {k: float(v) for k, v in row.items() if v and k not in told} for row in rows}


@pytest.fixture(scope="module")
def difficulty() -> np.ndarray:
    rows = table("instruction_difficulty.csv")
    assert [int(row["index"]) for row in rows] == list(range(805))
    return np.array([float(row["instruction_difficulty"]) for row in rows])


@pytest.fixture(scope="module")
def annotated(difficulty) -> dict[str, list[AlpacaRow]]:
    models: dict[str, list[AlpacaRow]] = {}
    for row in table("annotations_lengths_and_preferences.csv"):
        p, lengths = float(row["preference"]) - 1.0, (int(row["len_1"]), int(row["len_2"]))
        made = AlpacaRow(row["index"], p, *lengths, float(difficulty[int(row["index"])]))
        models.setdefault(row["model"], []).append(made)
    return models


@needs_data
def test_win_rates_of_the_listed_models_are_the_published_ones(annotated, leaderboard) -> None:
    listed = annotated.keys() & leaderboard.keys()
    assert len(listed) == 19
    for name in listed:
        published = leaderboard[name]
        found = tally([row._replace(difficulty=None) for row in annotated[name]])
        assert found.score is not None
        figures = {key: 100.0 * value for key, value in found.figures.items() if value is not None}
        assert found.score.value * 100.0 == pytest.approx(published["win_rate"], abs=1e-9)
        assert figures["standard error"] == pytest.approx(published["standard_error"], abs=1e-9)
        discrete = published["discrete_win_rate"]
        assert figures["discrete win rate"] == pytest.approx(discrete, abs=1e-9)
        assert found.counts["judged"] == published["n_total"]
        assert found.counts["mean characters"] == pytest.approx(published["avg_length"], rel=0.02)


@needs_data
def test_controlled_win_rates_of_189_models_follow_from_their_weights(
    difficulty, leaderboard
) -> None:
    exact, seen = 0, 0
    for row in table("length_controlled_v1_baseline_gpt4_1106_preview.csv"):
        name, length, hard, own = row.values()
        if name in leaderboard:
            seen += 1
            rate = 100.0 * LengthControl(float(length), float(hard), float(own)).win_rate(
                difficulty
            )
            exact += abs(rate - leaderboard[name]["length_controlled_winrate"]) < 1e-6
    assert (exact, seen) == (189, 199)


@needs_data
def test_a_refit_is_near_the_published_rate(annotated, leaderboard, difficulty) -> None:
    far = {}
    for name in (annotated.keys() & leaderboard.keys()) - MADE_TO_FOOL:
        rows = annotated[name]
        length = length_term([r.baseline_chars for r in rows], [r.model_chars for r in rows])
        preferences = [row.preference for row in rows]
        fitted = fit_length_control(length, [r.difficulty for r in rows], preferences)
        published = leaderboard[name]["length_controlled_winrate"]
        far[name] = abs(100.0 * fitted.win_rate(difficulty) - published)
    assert len(far) == 17
    assert max(far.values()) < 2.5


@needs_data
def test_the_headline_is_the_refit_with_an_interval_around_it(annotated, difficulty) -> None:
    rows = annotated["alpaca-7b"]
    found = controlled_win_rate(rows)
    assert found is not None
    length = length_term([r.baseline_chars for r in rows], [r.model_chars for r in rows])
    fitted = fit_length_control(length, [r.difficulty for r in rows], [r.preference for r in rows])
    assert found.value == pytest.approx(fitted.win_rate(difficulty), abs=1e-9)
    assert found.low < found.value < found.high
    assert 0.01 < found.high - found.low < 0.1
    assert NUM_REFITS >= 200
    missing = [rows[0]._replace(preference=None), *rows[1:]]
    without = controlled_win_rate(missing)
    assert without is not None
    assert without.value == pytest.approx(found.value, abs=0.01)
    assert controlled_win_rate([row._replace(difficulty=None) for row in rows]) is None


@needs_data
def test_of_few_rows_the_rate_is_withheld_as_it_says_little(annotated, difficulty) -> None:
    """N rows of an ordinary model's 805, against the rate of all of them."""
    generator = np.random.default_rng(0)

    def rate(rows: list[AlpacaRow]) -> float:
        length = length_term([r.baseline_chars for r in rows], [r.model_chars for r in rows])
        hard = [r.difficulty for r in rows]
        fitted = fit_length_control(length, hard, [r.preference for r in rows])
        return 100.0 * fitted.win_rate(hard)

    models = [annotated[name] for name in sorted(annotated.keys() - MADE_TO_FOOL)]
    far = {}
    for size in (20, MIN_QUESTIONS, 200):
        draws = [
            rate([rows[i] for i in generator.choice(len(rows), size, replace=False)]) - rate(rows)
            for rows in models
            for _ in range(10)
        ]
        far[size] = float(np.sqrt(np.mean(np.square(draws))))
    assert far[20] > 10.0 > 6.0 > far[MIN_QUESTIONS] > far[200]
    rows = annotated["alpaca-7b"]
    enough, few = tally(rows[:MIN_QUESTIONS]), tally(rows[: MIN_QUESTIONS - 1])
    assert enough.departures == ()
    assert enough.score != enough.figures["win rate"]
    assert few.score is not None
    assert few.score.value == few.figures["win rate"]
    assert "from 100 judged questions on" in few.departures[0]
    assert tally([row._replace(difficulty=None) for row in rows[:9]]).departures == ()


@needs_data
def test_stored_replies_of_the_judge_give_the_stored_preferences() -> None:
    rows = json.loads((DATA / "annotations_alpaca-7b.json").read_text())
    assert len(rows) == 40
    for row in rows:
        choice = row["raw_completion"]
        choice = ast.literal_eval(choice) if isinstance(choice, str) else choice
        [reply] = read_replies(json.dumps({"choices": [choice]}), "", KeyScrubber(None))
        found = read_label(reply, ("m", "M"))
        assert isinstance(found, Verdict)
        assert found.share is not None
        of_second = found.share if found.label == "M" else 1.0 - found.share
        p = row["preference"] - 1.0  # the order is not stored: the letters are either way round
        assert min(abs(of_second - p), abs(1.0 - of_second - p)) < 1e-8


def test_the_fit_solves_its_equations() -> None:
    generator = np.random.default_rng(1)
    x_ND = generator.normal(size=(60, 3))
    p_N, weight_N = generator.uniform(size=60), generator.uniform(0.1, 4.0, size=60)
    for ridge in (0.0, 0.7):
        beta = fit_logistic(x_ND, p_N, weight_N, ridge)
        slope = [
            sum(w * (p - 1.0 / (1.0 + np.exp(-x @ beta))) * x[d] for x, p, w in
                zip(x_ND, p_N, weight_N, strict=True)) - ridge * beta[d]
            for d in range(3)
        ]  # fmt: skip
        assert slope == pytest.approx([0.0] * 3, abs=1e-6)
    assert sigmoid(fit_logistic(np.ones((4, 1)), [0.0, 0.2, 0.9, 1.0])) == pytest.approx(0.525)
    twice = fit_logistic(x_ND, p_N, np.full(60, 2.0))
    assert twice == pytest.approx(fit_logistic([*x_ND, *x_ND], [*p_N, *p_N]), abs=1e-8)
    assert sigmoid([-1e9, 0.0, 1e9]) == pytest.approx([0.0, 0.5, 1.0])


def test_lengths_that_never_differ_control_nothing() -> None:
    assert length_term([5, 5, 5], [3, 3, 3]).tolist() == [0.0] * 3
    assert length_term([5], [3]).tolist() == [0.0]
    rows = [AlpacaRow(str(i), 1.0, 9, 9, 0.0) for i in range(5)]
    found = controlled_win_rate(rows)
    assert found is not None  # five wins, which no unpenalised fit survives
    assert 0.99 < found.value < 1.0


def test_long_answers_that_win_by_length_alone_are_worth_half() -> None:
    generator = np.random.default_rng(0)
    model = generator.integers(500, 5000, size=805)
    length = length_term(np.full(805, 1000), model)
    p = sigmoid(-2.0 * length)
    rows = [AlpacaRow(str(i), float(p[i]), 1000, int(model[i]), 0.3) for i in range(805)]
    found = tally(rows)
    assert found.score is not None
    assert found.figures["win rate"] > 0.6  # type: ignore[operator]
    assert found.score.value == pytest.approx(0.5, abs=0.02)
