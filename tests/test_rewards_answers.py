"""Kinds of answers that real models give, and their near misses.

A second table of pairs, properties, and (where the benchmarks lie beside the repository) real
answers with their verdicts.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock import assert_linear, soon
from r1.rewards.accuracy import check_reference
from r1.rewards.boxes import boxed_answer, without_wrapping
from r1.rewards.math.numbers import cut_quantity
from r1.rewards.math.symbolic import Sameness
from r1.rewards.math.unit_table import units
from r1.rewards.math.units import parse_unit, units_agree
from r1.rewards.math.verifier import compare, score_math
from r1.rewards.registry import make_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem
from test_rewards_math import Pair, read_table

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
PAIRS = read_table(Path(__file__).parent / "data" / "math_pairs_kinds.tsv")
SECTIONS = sorted({pair.section for pair in PAIRS})
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared beside the repository")


def judge(verifier: str, reference: str, answer: str, **metadata: object) -> float:
    problem = Problem("p", "", reference, verifier, metadata=dict(metadata))
    assert check_reference(problem) is None
    text = f"<think>a</think> <answer>{answer}</answer>"
    return make_reward("accuracy", RewardSettings())(
        problem, Completion([], [], text, "stop")
    ).value


def is_paid(pair: Pair) -> bool:
    problem = Problem("p", pair.question, pair.reference, "math")
    return score_math(problem, pair.answer, RewardSettings()).value == 1.0


def test_the_table_holds_right_and_near_miss_of_every_kind() -> None:
    assert len(PAIRS) >= 470
    assert len(set(PAIRS)) == len(PAIRS), "a pair stands there twice"
    for section in SECTIONS:
        assert {pair.paid for pair in PAIRS if pair.section == section} == {True, False}, section


@pytest.mark.parametrize("section", SECTIONS)
def test_every_kind_is_judged_as_the_table_says(section: str) -> None:
    pairs = [pair for pair in PAIRS if pair.section == section]
    assert not [pair for pair in pairs if is_paid(pair) != pair.paid]
    unread = [p for p in pairs if check_reference(Problem("p", "", p.reference, "math"))]
    assert not unread


# Properties ---------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(base=st.integers(2, 9), power=st.integers(20, 300), other=st.integers(1, 3))
def test_tiny_values_are_told_apart(base: int, power: int, other: int) -> None:
    tiny = f"\\frac{{1}}{{{base}^{{{power}}}}}"
    near = f"\\frac{{1}}{{{base}^{{{power + other}}}}}"
    for reference, answer in ((tiny, near), (tiny, "0"), (f"x+{tiny}", f"x+{near}"),
                              (f"1-{tiny}", "1"), (f"1-{tiny}", f"1-{near}")):  # fmt: skip
        assert compare(reference, answer)[0] is Sameness.DIFFERENT, (reference, answer)
    assert compare(tiny, f"{base}^{{-{power}}}")[0] is Sameness.EQUAL
    assert compare(f"x+{tiny}", f"{tiny}+x")[0] is Sameness.EQUAL


SYMBOLS = ["m", "g", "s", "A", "mol", "Hz", "N", "Pa", "J", "W", "V", "F", "L", "eV", "B", "bar"]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SYMBOLS), st.sampled_from(["", "k", "M", "G", "m", "n"]),
       st.sampled_from(["", "k", "M", "G", "m", "n"]))  # fmt: skip
def test_units_of_other_prefixes_are_other_units(symbol: str, first: str, second: str) -> None:
    if not {first + symbol, second + symbol} <= units().keys():
        return
    if first + symbol == "min" or second + symbol == "min":
        return
    same = compare(f"7 \\text{{ {first}{symbol}}}", f"7\\text{{ {second}{symbol}}}")[0]
    assert (same is Sameness.EQUAL) == (first == second)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["m", "kg", "s", "A", "K"]), st.sampled_from(["mol", "N", "J", "W", "V"]),
       st.integers(1, 3))  # fmt: skip
def test_a_unit_is_the_same_in_every_spelling(above: str, below: str, power: int) -> None:
    spellings = [
        f"{above}/{below}^{power}", f"{above}\\cdot {below}^{{-{power}}}",
        f"{above} {below}^{{-{power}}}", f"\\frac{{{above}}}{{{below}^{{{power}}}}}",
        f"{above} per {below}^{power}",
    ]  # fmt: skip
    found = [parse_unit(spelling) for spelling in spellings]
    assert found[0] is not None
    assert all(unit == found[0] for unit in found), found
    other = parse_unit(f"{above}/{below}^{power + 1}")
    assert not units_agree(found[0], other)


def test_scales_of_units() -> None:
    for text, same in (("L", "dm^3"), ("N m", "J"), ("kWh", "千瓦时"), ("ha", "公顷"),
                       ("km/h", "千米每小时"), ("mL", "cc"), ("Hz", "s^{-1}")):  # fmt: skip
        assert parse_unit(text) == parse_unit(same) is not None, text
    mile, metre = parse_unit("mile"), parse_unit("m")
    assert mile is not None
    assert metre is not None
    assert mile.scale / metre.scale == Fraction(1609344, 1000)


# Boxes, and unwrapping alike in every verifier ----------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [(r"\boxed{3}, \boxed{5}", "3, 5"), (r"$\boxed{3}$ and $\boxed{5}$", "3, 5"),
     (r"\boxed{k=12}\quad\text{and}\quad\boxed{n=3}", "k=12, n=3"),
     (r"x = \boxed{3} or x = \boxed{5}", "x = 3, x = 5"),
     (r"first \boxed{3}. Then it is \boxed{5}", "5"), (r"\boxed{3} or rather \boxed{5}", "5"),
     (r"\boxed{5} \boxed{5}", "5"), (r"\boxed {12}", "12"), (r"\fbox{1}", "1"),
     (r"\boxed{2} \boxed{}", None), (r"\boxed{2} \boxed{3", None), ("2", None)],
)  # fmt: skip
def test_boxes_that_form_one_answer(text: str, answer: str | None) -> None:
    assert boxed_answer(text) == answer


@pytest.mark.parametrize(
    "fragment", [r"\boxed{1}", r"\boxed{1}, ", r"x=\boxed{1} or ", r"\fbox{1} and "]
)
def test_adjoining_boxes_are_read_in_linear_time(fragment: str) -> None:
    assert_linear(lambda number: boxed_answer(fragment * number), 4_000, 10)


def test_a_long_word_is_soon_no_unit() -> None:
    with soon():
        assert cut_quantity("三" * 3_000).unit is None


def test_a_box_without_its_wrapping() -> None:
    assert without_wrapping(r"$\boxed{\text{Paris}}$") == "Paris"


PARIS = [r"\boxed{\text{Paris}}", r"$\text{Paris}$", r"\textbf{Paris}", "The answer is Paris.",
         "答案是Paris", r"\(\mathrm{Paris}\)", "**Paris**"]  # fmt: skip


@pytest.mark.parametrize("answer", PARIS)
def test_words_are_unwrapped_alike(answer: str) -> None:
    options = ["Rome", "Paris"]
    assert judge("exact", "Paris", answer) == 1.0
    assert judge("choice", "B", answer, options=options) == 1.0
    assert judge("math", "Paris", answer) == 1.0
    for wrong in (answer.replace("Paris", "Rome"), answer.replace("Paris", "Paris or Rome")):
        assert judge("exact", "Paris", wrong) == 0.0
        assert judge("choice", "B", wrong, options=options) == 0.0
        assert judge("math", "Paris", wrong) == 0.0


NUMBERS = [r"\boxed{42}", "x = 42", r"\boxed{v = 42\text{ m/s}}", "$42$", r"42\text{ m/s}",
           "The answer is 42", r"\text{42}", "42 m/s"]  # fmt: skip


@pytest.mark.parametrize("answer", NUMBERS)
@pytest.mark.parametrize("verifier", ["math", "numeric", "exact"])
def test_numbers_are_unwrapped_alike(verifier: str, answer: str) -> None:
    assert judge(verifier, "42", answer) == 1.0
    for wrong in ("43", "24", "42, 43", "42 or 43"):
        assert judge(verifier, "42", answer.replace("42", wrong)) == 0.0


@pytest.mark.parametrize(
    ("reference", "answer", "metadata", "paid"),
    [("5 J", "5 kJ", {}, 0), ("5 J", "5 N·m", {}, 1), ("5", "5 kJ", {"unit": "J"}, 0),
     ("5", "5 J", {"unit": "J"}, 1), ("5", "5", {"unit": "J"}, 1), ("300", "300 K", {}, 1),
     ("300 K", "300 °C", {}, 0), ("5", "5 blops", {"unit": "zorks"}, 0),
     ("5", "t = 5 s", {}, 1), ("5", "t = 5 or t = 6", {}, 0)],
)  # fmt: skip
def test_numeric_knows_units(reference: str, answer: str, metadata: dict, paid: int) -> None:
    assert judge("numeric", reference, answer, **metadata) == paid


OPTIONS = ["red", "green", "blue", "pink"]


@pytest.mark.parametrize(
    "answer",
    ["B选项", "选项B", "B is correct", "B is the right answer", "(B) is correct", "选B项", "B正确",
     "Option B is the best choice", r"\textbf{(B)}\ \text{green}", "(B) green", "green",
     "答案=B", r"\boxed{\text{(B)}}", r"$\mathrm{B}$", "B是正确的选项"],
)  # fmt: skip
def test_choices_in_prose(answer: str) -> None:
    assert judge("choice", "B", answer, options=OPTIONS) == 1.0
    assert judge("choice", "1", answer, options=OPTIONS) == 1.0, "the index of MMLU"
    assert judge("choice", "green", answer, options=OPTIONS) == 1.0
    lettered = [f"{letter}. {word}" for letter, word in zip("ABCD", OPTIONS, strict=True)]
    assert judge("choice", "B", answer, options=lettered) == 1.0


@pytest.mark.parametrize(
    "answer",
    ["B is incorrect", "B is wrong", "B is not correct", "B不正确", "B错误", "A is correct",
     "B or C is correct", "B and C选项", "A选项", "(B) red", "red", "green or blue", "1",
     "neither B nor C", "B is correct, or C"],
)  # fmt: skip
def test_near_misses_of_choices(answer: str) -> None:
    assert judge("choice", "B", answer, options=OPTIONS) == 0.0


CITIES = ["Paris", "London", "New York", "York"]


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("D, because York is wrong and New York is right", None),  # found by bench/hunt.py
        ("D, since it is New York", None),
        ("D. York, not New York", None),
        ("A, as New York is right", None),
        ("C, because York is wrong", None),
        ("C. New York", "C"),
        ("D. York", "D"),
        ("D, because York is old", "D"),
        ("C, because New York, New York is a song", "C"),
    ],
)
def test_a_name_within_another_option_does_not_hide_it(answer: str, chosen: str | None) -> None:
    paid = [letter for letter in "ABCD" if judge("choice", letter, answer, options=CITIES) == 1.0]
    assert paid == ([chosen] if chosen else [])


def test_an_index_that_is_also_an_option_is_refused() -> None:
    problem = Problem("p", "", "1", "choice", metadata={"options": ["1", "2", "3"]})
    assert "give its letter" in (check_reference(problem) or "")
    fine = Problem("p", "", "1", "choice", metadata={"options": ["0", "1", "2"]})
    assert check_reference(fine) is None


# Real answers -------------------------------------------------------------------------------------


def read_lines(path: str) -> list[dict]:
    lines = (SHARED / "benchmarks" / path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


@needs_shared
@pytest.mark.slow
def test_gold_answers_are_right() -> None:
    golds = [
        str(row["answer"])
        for path in ("math500/test.jsonl", "aime2024/test.jsonl", "aime2025/test2025-I.jsonl",
                     "aime2025/test2025-II.jsonl", "cnmo2024/chmath2024_test.jsonl")
        for row in read_lines(path)
    ]  # fmt: skip
    assert len(golds) == 590
    refused = [gold for gold in golds if check_reference(Problem("p", "", gold, "math"))]
    assert not refused
    assert not [gold for gold in golds if compare(gold, f"${gold}$.")[0] is not Sameness.EQUAL]


@needs_shared
@pytest.mark.slow
def test_answers_of_a_model_are_judged_as_their_verdicts_say() -> None:
    """One verdict is mended: 10000 is 10{,}000."""
    rows = read_lines("math_responses/math_cot_100.jsonl")
    wrong = [
        (row["gt"], answer, said)
        for row in rows
        for answer, said in zip(row["pred"], row["score"], strict=True)
        if (score_math(Problem("p", "", row["gt"], "math"), answer or " ", RewardSettings()).outcome
            is Outcome.CORRECT) != (said or (row["gt"], answer) == ("10{,}000", "10000"))
    ]  # fmt: skip
    assert not wrong
