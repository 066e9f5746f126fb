"""Numbers within a tolerance: forms that are read, answers that are not paid, faulty problems."""

from __future__ import annotations

import pytest

from clock import soon
from r1.rewards.accuracy import check_reference
from r1.rewards.numeric import equal_numeric, read_numeric
from r1.rewards.registry import make_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score


def judge(reference: str, answer: str, **metadata: object) -> Score:
    problem = Problem("p", "", reference, "numeric", metadata=dict(metadata))
    assert check_reference(problem) is None
    text = f"<think>a</think> <answer>{answer}</answer>"
    return make_reward("accuracy", RewardSettings())(problem, Completion([], [], text, "stop"))


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("3.14", 3.14), ("-5", -5.0), ("+3", 3.0), ("3.", 3.0), (".5", 0.5), ("1,234.5", 1234.5),
        ("1 000 000", 1e6), ("1.2e-3", 0.0012), ("1.2×10^3", 1200.0), ("２．５", 2.5),
        ("$1.2\\times 10^{-3}$", 0.0012), ("\\boxed{3.5}", 3.5), ("so \\boxed{3.5} m", 3.5),
        ("50%", 0.5), ("1/2", 0.5), ("\\frac{1}{2}", 0.5), ("3 3/4", 3.75), ("(3)", 3.0),
        ("9.8 m/s", 9.8), ("9.8 m/s^2", 9.8), ("5\\ \\text{N}", 5.0), ("$5", 5.0),
        ("≈3.14", 3.14), ("约3.5", 3.5), ("about 3", 3.0), ("the answer is 3.14.", 3.14),
        ("答案是3.5。", 3.5), ("三点五", 3.5),
    ],
)  # fmt: skip
def test_forms_that_are_read(answer: str, value: float) -> None:
    found = read_numeric(answer)
    assert found is not None
    assert float(found.value) == pytest.approx(value)


NOT_ONE_NUMBER = """3 or 4|3 4|3, 4|3±1|3\\pm 1|3-4|[3,4]|3 to 4|about 3 to 4|between 3 and 4|3 + 4
2^10|x = 3 or x = 4|3.14 m and 4 m|nan|inf|-inf|infinity|\\infty|--3|1e999999999|0x10|1_000|3:4
3;4|10%5|1..2|1.2.3|half of it|any number|?|$|\\boxed{}|\\boxed{3}\\boxed{4}|1/0|3!|9^{9^{9^{9}}}"""


@pytest.mark.parametrize("answer", NOT_ONE_NUMBER.replace("\n", "|").split("|"))
def test_what_is_not_one_number_is_not_paid(answer: str) -> None:
    for reference in ("3", "4", "7", "1024", "0"):
        score = judge(reference, answer, rel_tol=0.5, abs_tol=100.0)
        assert (score.value, score.outcome) == (0.0, Outcome.UNPARSEABLE)


@pytest.mark.parametrize(
    ("reference", "answer", "metadata", "value"),
    [
        ("100", "101", {"rel_tol": 0.01}, 1.0),
        ("100", "99", {"rel_tol": 0.01}, 1.0),
        ("100", "101.0001", {"rel_tol": 0.01}, 0.0),
        ("-100", "-101", {"rel_tol": 0.01}, 1.0),
        ("-100", "100", {"rel_tol": 0.5}, 0.0),
        ("0", "0", {"rel_tol": 0.1}, 1.0),
        ("0", "0.0001", {"rel_tol": 0.1}, 0.0),
        ("0", "0.0001", {"abs_tol": 0.001}, 1.0),
        ("5", "5.1", {"abs_tol": 0.125}, 1.0),
        ("5", "5.2", {"abs_tol": 0.125}, 0.0),
        ("100", "100.5", {"rel_tol": 0.001, "abs_tol": 1}, 1.0),  # the larger of the two
        ("100", "102", {"rel_tol": 0.01, "abs_tol": 1}, 0.0),
        ("3.14159265", "3.141593", {}, 1.0),  # the default: one in a million
        ("3.14159265", "3.1416", {}, 0.0),
        ("1/3", "0.3333333", {}, 1.0),
        ("5", "5", {"rel_tol": 0.0}, 1.0),
        ("5", "5.0000000001", {"rel_tol": 0.0}, 0.0),
        ("12345678901234567890", "12345678901234567891", {"rel_tol": 0.0}, 0.0),
        ("1e-30", "0", {}, 0.0),
        ("1e300", "1e301", {}, 0.0),
        ("1e350", "1e-350", {}, 0.0),
        ("1e350", "1e350", {}, 1.0),
        ("50%", "0.5", {}, 1.0),
        ("0.5", "50%", {}, 1.0),
        ("50", "50%", {}, 0.0),
        ("9.8 m/s", "9.8", {}, 1.0),
        ("9.8", "9.8 m/s", {}, 1.0),
        ("9.8 m/s", "9.8 km/h", {}, 0.0),
        ("9.8", "9.8 km/h", {"unit": "m/s"}, 0.0),
        ("9.8", "9.8 m/s", {"unit": "m/s"}, 1.0),
        ("5 kg", "5 kilograms", {}, 1.0),
    ],
)
def test_tolerances(reference: str, answer: str, metadata: dict, value: float) -> None:
    assert judge(reference, answer, **metadata).value == value


@pytest.mark.parametrize(
    ("unit", "answers"),
    [
        ("%", ("50%", "50\\%", "50 percent", "50", "百分之50")),
        ("percent", ("50 %", "50")),
        ("$", ("\\$50", "$50", "50 dollars", "50")),
        ("\\$", ("50 dollars", "50 USD")),
        ("$\\mathrm{~kJ}$", ("50 kJ", "50\\mathrm{~kJ}", "50 kilojoules")),
        ("kJ mol$^{-1}$", ("50 kJ/mol", "50 kJ mol^-1", "50")),
        ("$\\mathrm{cm}^{-1}$", ("50 cm^-1", "50 cm^{-1}", "50 /cm")),
        (" $^\\circ$ ", ("50°", "50 degrees", "50^\\circ")),
        ("$\\AA$", ("50 Å", "50 \\AA")),
    ],
)
def test_units_in_latex_and_signs(unit: str, answers: tuple[str, ...]) -> None:
    for answer in answers:
        assert judge("50", answer, unit=unit).value == 1.0, answer
    for wrong in ("50 kg", "€50", "0.5", "50 or 51", "0.5%" if unit in "%percent" else "50%"):
        assert judge("50", wrong, unit=unit, rel_tol=0.001).value == 0.0, wrong


def test_a_tolerance_beside_per_cent_is_in_per_cent() -> None:
    assert judge("50", "50.5%", unit="%", abs_tol=1).value == 1.0
    for answer in ("55%", "55", "0.5", "0.55", "1"):
        assert judge("50", answer, unit="%", abs_tol=1).value == 0.0, answer
    assert judge("50%", "0.5", unit="%").value == judge("50%", "50", unit="%").value == 1.0


@pytest.mark.parametrize(
    ("reference", "metadata", "words"),
    [
        ("", {}, "not one plain number"),
        (None, {}, "not one plain number"),
        ("3 or 4", {}, "not one plain number"),
        ("3", {"rel_tol": -1}, "a number from 0"),
        ("3", {"rel_tol": "small"}, "a number from 0"),
        ("3", {"abs_tol": float("nan")}, "a number from 0"),
        ("3", {"abs_tol": float("inf")}, "a number from 0"),
        ("3", {"abs_tol": True}, "a number from 0"),
        ("3", {"rel_tol": 0.9}, "any guess"),
        ("3", {"unit": "M"}, "cannot be read"),
        ("3", {"unit": "$10^6$ J"}, "cannot be read"),
        ("3 kg", {"unit": "m"}, "another unit"),
    ],
)
def test_faulty_problems_are_named(reference, metadata: dict, words: str) -> None:
    problem = Problem("p", "", reference, "numeric", metadata=metadata)
    assert words in (check_reference(problem) or "")


def test_votes() -> None:
    assert equal_numeric("0.5", "1/2")
    assert not equal_numeric("0.5", "0.51")
    assert equal_numeric("none", "none")
    assert not equal_numeric("none", "0")


def test_hostile_answers_are_fast() -> None:
    with soon():
        for answer in (
            "9" * 100_000, "(" * 100_000, "1/" * 50_000, "\\boxed{" * 20_000, "一" * 50_000,
            "9" * 399, "1e400", "{" * 390, "\\frac" * 70, "," * 390,
        ):  # fmt: skip
            assert judge("3", answer).value == 0.0
