"""Multiple choice and exact match against tricks, hedges and faulty problems."""

from __future__ import annotations

import pytest

from clock import soon
from r1.rewards.accuracy import check_reference
from r1.rewards.choice import read_choice
from r1.rewards.registry import make_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score

OPTIONS = ["Rome", "Paris", "Cairo", "Athens"]


def judge(verifier: str, reference: str, answer: str, **metadata: object) -> Score:
    problem = Problem("p", "", reference, verifier, metadata=dict(metadata))
    text = f"<think>a</think> <answer>{answer}</answer>"
    return make_reward("accuracy", RewardSettings())(problem, Completion([], [], text, "stop"))


@pytest.mark.parametrize(
    "answer",
    ["B, because it is the capital", "B because Paris is the capital", "B. Paris is in France",
     "(B) Paris, as it is in France", "B，因为它是首都", "B因为它是首都", "I choose B",
     "My answer is B", "I would pick (B)", "B\nBecause I know it", "Ⓑ", "𝐁",
     "It's B", "本题答案为B", "这道题的答案是B", "B。", "It is (B).",
     "【B】", "`B`", "B (Paris)", "B — Paris"],
)  # fmt: skip
def test_choices_with_a_reason(answer: str) -> None:
    assert judge("choice", "B", answer, options=OPTIONS).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    "answer",
    ["B. London", "B, because A is wrong", "B because it is not Rome", "B. Paris or Rome",
     "B. Paris, else C", "B. Parisian", "A. Paris", "B (not A)", "B, Rome", "A B C D", "BB",
     "not B", "anything but B", "B?A", "Paris, Rome", "В", "“”", "**", "E", "I", "AB. Paris",
     "all of the above", "A. Rome because B is wrong", "It is B or C", "It's Rome, B", "B (A)",
     "B — Rome", "`A` not `B`"],
)  # fmt: skip
def test_hedges_and_contradictions_are_not_paid(answer: str) -> None:
    """The fifth from the end of the second line is a Cyrillic letter."""
    assert judge("choice", "B", answer, options=OPTIONS).value == 0.0


@pytest.mark.parametrize(
    "answer",
    ["除了B", "all but B", "anything but B", "everything other than B", "¬B", "~B", "B: not Paris",
     "B Paris or Rome", "B. Paris\nC. Cairo", "the opposite of B", "Eliminate B", "instead of B",
     "Anything rather than B", "It can hardly be B", "I doubt it is B", "Get rid of B",
     "I disagree with B", "Wrong: B", "eliminate option B", "reject answer B", "I would rule out B",
     "B. Paris, and C", "without B", "B不是"],
)  # fmt: skip
def test_a_letter_that_is_denied_or_shared_is_not_paid(answer: str) -> None:
    assert judge("letter", "B", answer, options=OPTIONS).value == 0.0
    assert judge("choice", "B", answer, options=OPTIONS).value == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "So it must be B",
        "I choose option B",
        "Therefore, option B",
        "I would go with B",
        "Therefore, B",
        "My pick: B",
        "因此选 B",
    ],
)
def test_a_letter_at_the_end_counts_behind_what_chooses(answer: str) -> None:
    assert judge("letter", "B", answer, options=OPTIONS).value == 1.0


def test_options_are_unwrapped_as_answers_are() -> None:
    options = ["1", "2", "$\\frac{1}{2}$", "\\text{none}"]
    for answer, letter in (("$\\frac{1}{2}$", "C"), ("\\frac{1}{2}", "C"), ("none", "D")):
        assert judge("choice", letter, answer, options=options).value == 1.0, answer


def test_quotation_marks_are_the_same_in_every_shape() -> None:
    for reference, answer in (("don't", "don’t"), ("the “D” minor", 'the "D" minor')):
        assert judge("exact", reference, answer).value == 1.0


def test_a_letter_within_its_own_option_is_no_other_choice() -> None:
    vitamins = ["Vitamin C", "Vitamin A", "Iron", "Zinc"]
    for answer in ("B. Vitamin A", "B) Vitamin A, because of its carrots", "Answer: B. Vitamin A"):
        assert judge("letter", "B", answer, options=vitamins).value == 1.0
    assert judge("letter", "B", "B. Vitamin A, or C", options=vitamins).value == 0.0


def test_a_pronoun_is_no_candidate_where_options_are_few() -> None:
    assert read_choice("B, because I know it", OPTIONS) == "B"
    assert read_choice("B, because A knows it", OPTIONS) == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [("ABCD", "list of 2 to 10"), (["one"], "list of 2 to 10"), (list("abcdefghijk"), "list of 2"),
     (["a", ""], "empty"), (["a", "“”"], "empty")],
)  # fmt: skip
def test_faulty_options_are_named(options, words: str) -> None:
    problem = Problem("p", "", "A", "choice", metadata={"options": options})
    assert words in (check_reference(problem) or "")


def test_exact_answers_of_nothing_are_not_paid() -> None:
    for answer in ('""', "***", "“”", "\u200b'"):
        score = judge("exact", "K", answer, aliases=[""])
        assert (score.value, score.outcome) == (0.0, Outcome.UNPARSEABLE)


@pytest.mark.parametrize("word", ["not", "no", "or", "non", "NOT", "if", "is", "nor", "nå", "ne"])
def test_only_a_name_may_stand_before_an_equals_sign(word: str) -> None:
    assert judge("exact", "Rome", f"{word} = Rome").value == 0.0
    for name in ("x", "x_1", "X'", "AB", "ans"):
        assert judge("exact", "Rome", f"{name} = Rome").value == 1.0


def test_one_alias_may_be_a_text_or_a_number() -> None:
    assert judge("exact", "New York", "NYC", aliases="NYC").value == 1.0
    assert judge("exact", "New York", "N", aliases="NYC").value == 0.0
    assert judge("exact", "five", "5", aliases=[5]).value == 1.0


@pytest.mark.parametrize(
    ("reference", "metadata", "words"),
    [("“”", {}, "not empty"), ("K", {"aliases": ["", "k"]}, "alias '' is empty"),
     ("K" * 20_000, {}, "at most"), ("K", {"aliases": ["K" * 20_000]}, "at most")],
)  # fmt: skip
def test_faulty_exact_problems_are_named(reference: str, metadata: dict, words: str) -> None:
    problem = Problem("p", "", reference, "exact", metadata=metadata)
    assert words in (check_reference(problem) or "")


def test_look_alikes_are_not_the_answer() -> None:
    for answer in ("К", "Ķ", "K\u0338", "Κ", "kK", "K K", "K\x00"):  # Cyrillic, cedilla, Greek, …
        assert judge("exact", "K", answer).value == 0.0, answer


@pytest.mark.parametrize("verifier", ["exact", "choice"])
def test_hostile_answers_are_fast(verifier: str) -> None:
    with soon():
        for answer in ("B " * 100_000, "(" * 200_000, "\\boxed{" * 30_000, "the " * 50_000,
                       "ﷺ" * 50_000, "B, " * 600, "so " * 600, "\\text{" * 300, "汉" * 1_900,
                       ):  # fmt: skip
            assert judge(verifier, "B", answer, options=OPTIONS).value == 0.0
