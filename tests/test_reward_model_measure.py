"""Accuracy, its interval and calibration, against hand counts."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest

from r1.preferences.agreement import interval
from r1.preferences.examples import PreferenceExample
from r1.preferences.types import Labelled, Pair
from r1.reward_model.measure import calibration, judge, statistics, summarise


def pair(prompt: str, lengths=(3, 3), language="", family="") -> PreferenceExample:
    ids = tuple(array("I", [1] * length) for length in lengths)
    return PreferenceExample(
        (1,), ids, 0.0, Pair(prompt, "a", "b", language=language, family=family)
    )


def label(prompt: str, positive: bool) -> PreferenceExample:
    return PreferenceExample(
        (1,), (array("I", [1]),), float(positive), Labelled(prompt, "a", positive)
    )


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_pairs_right_wrong_and_tied() -> None:
    examples = [pair("p"), pair("p"), pair("q"), pair("r")]
    scores = [[2.0, 1.0], [0.0, 3.0], [1.0, 1.0], [5.0, -5.0]]
    judged = judge(examples, scores)
    assert judged.right_E.tolist() == [1.0, 0.0, 0.5, 1.0]
    found = summarise(examples, scores)
    assert found["accuracy"]["value"] == pytest.approx(2.5 / 4)
    gaps = [1.0, -3.0, 0.0, 10.0]
    assert found["loss"] == pytest.approx(sum(math.log1p(math.exp(-g)) for g in gaps) / 4)
    brier = [(1 / (1 + math.exp(-g)) - 1) ** 2 for g in gaps]
    assert found["brier"] == pytest.approx(sum(brier) / 4)
    assert (found["num_examples"], found["num_prompts"]) == (4, 3)


def test_labels_use_the_score_s_sign() -> None:
    examples = [label("p", True), label("p", False), label("q", True), label("q", False)]
    judged = judge(examples, [[1.0], [-1.0], [-2.0], [0.0]])
    assert judged.right_E.tolist() == [1.0, 1.0, 0.0, 0.5]
    assert judged.outcome_E.tolist() == [1.0, 0.0, 1.0, 0.0]


def test_a_calibrated_model_has_no_calibration_error_and_an_overconfident_one_has_its_gap() -> None:
    """Ten pairs at confidence 0.8 of which eight are right; then the same at 0.99."""
    for confidence, ece in ((0.8, 0.0), (0.99, 0.19)):
        gap = logit(confidence)
        scores = [[gap, 0.0]] * 8 + [[0.0, gap]] * 2
        judged = judge([pair("p")] * 10, scores)
        found = calibration(judged, pairwise=True)
        assert found["ece"] == pytest.approx(ece, abs=1e-6)
        (only,) = found["bins"]
        assert (only["num"], only["observed"]) == (10, pytest.approx(0.8))
        assert only["predicted"] == pytest.approx(confidence)
        assert only["low"] <= confidence <= only["high"]


def test_labels_are_binned_over_the_whole_range() -> None:
    probabilities = [0.05, 0.15, 0.15, 0.95, 1.0]
    positives = [False, True, False, True, True]
    examples = [label("p", positive) for positive in positives]
    judged = judge(examples, [[logit(min(p, 1 - 1e-12))] for p in probabilities])
    bins = calibration(judged, pairwise=False)["bins"]
    shown = [(round(b["low"], 1), b["num"], b["observed"]) for b in bins]
    assert shown == [(0.0, 1, 0.0), (0.1, 2, 0.5), (0.9, 2, 1.0)]


def test_the_interval_knows_that_pairs_of_one_prompt_go_together() -> None:
    """100 pairs right, 100 wrong: as 200 prompts a narrow interval, as 4 prompts a wide one."""
    right = np.array([1.0] * 100 + [0.0] * 100)
    apart = interval(right, [str(n) for n in range(200)])
    together = interval(right, [str(n // 50) for n in range(200)])
    assert apart["value"] == together["value"] == 0.5
    # The deviation of a mean of 200 coins is 0.035: an interval of about 0.14.
    assert apart["high"] - apart["low"] == pytest.approx(0.14, abs=0.02)
    assert together["high"] - together["low"] > 0.8
    assert apart == interval(right, [str(n) for n in range(200)])


def test_the_summary_splits_by_language_family_and_length() -> None:
    examples = [
        pair("p", (5, 2), "en", "curt"),
        pair("q", (2, 5), "en", "rambling"),
        pair("r", (2, 2), "zh", "curt"),
    ]
    found = summarise(examples, [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert found["by_language"]["en"]["value"] == 0.5
    of_one = {"value": 1.0, "low": pytest.approx(0.025), "high": 1.0, "num": 1}
    assert found["by_language"]["zh"] == of_one
    assert found["by_family"]["curt"]["num"] == 2
    by_length = {name: entry["value"] for name, entry in found["by_length"].items()}
    assert by_length == {"chosen is longer": 1.0, "chosen is shorter": 0.0, "equally long": 1.0}
    assert found["length_correlation"] == pytest.approx(
        np.corrcoef([1, 0, 0, 1, 1, 0], [5, 2, 2, 5, 2, 2])[0, 1]
    )
    assert summarise([pair("p")], [[1.0, 1.0]])["length_correlation"] is None


def test_statistics() -> None:
    assert statistics(np.array([1.0, 2.0, 6.0])) == {
        "mean": 3.0,
        "std": pytest.approx(math.sqrt(14 / 3)),
        "min": 1.0,
        "max": 6.0,
    }
