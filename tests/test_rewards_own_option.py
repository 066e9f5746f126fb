"""A letter with its own option's words is one choice; with another's, or beside another letter, it
is none. By hand, and over every question of four benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from r1.benchmarks.protocol import load
from r1.benchmarks.registry import find_benchmark
from r1.benchmarks.running.measure import spread_evenly
from r1.rewards.choice import read_choice, spaced
from r1.rewards.letter import read_letter
from r1.types import Problem

DATA = Path(__file__).parents[2] / "shared/benchmarks"
NAMES = ("mmlu", "mmlu_pro", "ceval", "cmmlu")
READERS = (read_choice, read_letter)
MAX_CHARS = 1_500
VITAMINS = ["Vitamin C", "Vitamin D", "Vitamin K", "Iron"]
AMPERES = ["1 A", "3 A", "5 A", "7 A"]
BOTH = ["x", "y", "z", "Both A and B"]
CHANGES = ["An increase", "a decrease", "No change"]
LETTERED = ["A and B", "C", "A and D", "A"]
A_SENTENCE = "is right."
"""An option of MMLU's, behind whose letter it says that the letter is right."""
TEN = [f"option {place}" for place in range(10)]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "options", "letter"),
    [
        ("A. Vitamin C", VITAMINS, "A"),
        ("C. 5 A", AMPERES, "C"),
        ("C. $5\\mathrm{~A}$", ["$1\\mathrm{~A}$", "3 A", "$5 \\mathrm{~A}$"], "C"),
        ("D. Both A and B", BOTH, "D"),
        ("D. Both A and B, because they hold", BOTH, "D"),
        ("B. A decrease", CHANGES, "B"),
        ("The answer is (B) A decrease.", CHANGES, "B"),
        ("C. A and D", LETTERED, "C"),
        ("D. A", LETTERED, "D"),
        ("D. 100\u2103", ["25\u2103", "50\u2103", "75\u2103", "100\u2103"], "D"),
        ("E. .8 lb", ["8 lb", "18 lb", "1.8 lb", "80 lb", ".8 lb"], "E"),
        ("Iron (D)", VITAMINS, "D"),
        ("Iron\uff08D\uff09", VITAMINS, "D"),
        ("D\u200b", VITAMINS, "D"),
        ("\u300cD\u300d", VITAMINS, "D"),
        ("'D'", VITAMINS, "D"),
    ],
)
def test_a_letter_with_its_own_option(read, text: str, options: list[str], letter: str) -> None:
    assert read(text, options) == letter


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("text", "options", "gold"),
    [
        ("A. Vitamin D", VITAMINS, "A"),
        ("A. Vitamin C or B", VITAMINS, "A"),
        ("A. Vitamin C, D", VITAMINS, "A"),
        ("A. Vitamin C and Vitamin D", VITAMINS, "A"),
        ("C. 5 A or 7 A, D", AMPERES, "C"),
        ("C. 7 A", AMPERES, "C"),
        ("D. Both A and B, or C", BOTH, "D"),
        ("D, A", LETTERED, "D"),
        ("D/A", LETTERED, "D"),
        ("D (A)", LETTERED, "D"),
        ("C, A and D", LETTERED, "C"),
        ("A (D)", LETTERED, "D"),
        ("Iron (B)", VITAMINS, "B"),
        ("Iron (B)", VITAMINS, "D"),
        ("Vitamin D or Iron (D)", VITAMINS, "D"),
        ("'A' or 'D'", VITAMINS, "D"),
        ("D, or 'A'", VITAMINS, "D"),
        ("A. New York City", ["New York", "New York City"], "A"),
    ],
)
def test_several_letters_or_options_are_none(read, text: str, options, gold: str) -> None:
    assert read(text, options) != gold


@pytest.mark.parametrize("options", [None, TEN])
@pytest.mark.parametrize(
    "text",
    ["B, because I computed it", "B. I am confident in this.", "B. A current flows.",
     "I think it is B", "Thus I conclude that the answer is B.", "B, because I\u2019m sure"],
)  # fmt: skip
def test_a_pronoun_and_an_article_are_no_letters(text: str, options: list[str] | None) -> None:
    assert read_letter(text, options) == "B"
    assert read_choice(text) in ("B", None)
    assert read_choice("B, because I computed it", options) == "B"
    assert read_choice("B. A current flows.") == "B"


@pytest.mark.parametrize("options", [None, TEN])
@pytest.mark.parametrize(
    "text",
    ["B or I", "B, I", "B/I", "B and I", "B. I is right too", "B. I also fits", "I or B", "I, B",
     "B, or option I if not", "B. I could be right", "B, (I)", "B. A is right too", "B. A",
     "B. A works too", "B. A suggested itself", "B. A probably", "B, A current", "B. A or C",
     "B or A current", "A oxygen or it is B", "B. option A perhaps", "B, because A knows it",
     "B. A could be too", "B. Either A or that"],
)  # fmt: skip
def test_letters_in_prose_stay_letters(text: str, options: list[str] | None) -> None:
    assert read_letter(text, options) not in ("A", "B", "I")
    assert read_choice(text, options) not in ("A", "B", "I")


def problems_of(name: str) -> list[Problem]:
    return load(find_benchmark(name), DATA).problems


def misread(problems: list[Problem]) -> list[tuple[str, str]]:
    """Return the answers that are read wrong: the gold letter with its own option or with the next
    one, and the next letter with the gold option."""
    found = []
    for problem in problems:
        options, gold = problem.metadata["options"], problem.reference or ""
        own = options["ABCDEFGHIJ".index(gold)]
        place = ("ABCDEFGHIJ".index(gold) + 1) % len(options)
        other = options[place]
        if max(len(own), len(other)) > MAX_CHARS:
            continue
        said = {f"{gold}. {own}": True}
        if spaced(own) != spaced(other) and other != A_SENTENCE:
            said |= {f"{gold}. {other}": False, f"{'ABCDEFGHIJ'[place]}. {own}": False}
        found += [
            (problem.id, text)
            for text, is_gold in said.items()
            for read in READERS
            if (read(text, options) == gold) is not is_gold
        ]
    return found


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
@pytest.mark.parametrize("name", NAMES)
def test_own_options_of_a_few_questions(name: str) -> None:
    assert misread(spread_evenly(problems_of(name), 300)) == []


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")
@pytest.mark.parametrize("name", NAMES)
def test_own_options_of_all_questions(name: str) -> None:
    assert misread(problems_of(name)) == []
