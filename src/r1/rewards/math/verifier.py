r"""Mathematical equality of an answer and its reference; symbolic cases by math-verify.

1. notation: unicode, full-width, Chinese and ASCII forms become one LaTeX (text);
2. structure: alternatives, tuples, sets, intervals and equations are matched part by part
   (value, matching): as many parts as the reference has, so listing candidates never pays;
3. plain numbers, with units and per cent signs, are compared exactly without sympy (numbers);
4. formulas are compared by their values, to as many digits as their terms need (agreement);
5. what remains goes to math-verify with its timeouts off (they use SIGALRM, which fails outside
   the main thread): the wall clock is the worker pool's.

Never paid, whatever sympy thinks: arithmetic left undone ("3 + 4" for 7), a formula copied from
the question, lists of candidates, towers of powers and the like (`is_too_hard`), NaN.

Left out on purpose: conversion of units ("100 cm" is not "1 m") and rounding ("0.33" is not 1/3;
six decimals are enough).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from r1.rewards.boxes import boxed_answer
from r1.rewards.math.bases import compare_times
from r1.rewards.math.bound import cut_domain, domains_agree, with_common_name
from r1.rewards.math.difficulty import is_hard_reference, is_too_hard
from r1.rewards.math.expressions import QuestionContext, is_words, plain_key
from r1.rewards.math.matching import compare_values
from r1.rewards.math.numbers import cut_quantity, read_number
from r1.rewards.math.parts import EQUALS, Atom, Value, split
from r1.rewards.math.symbolic import (
    Sameness,
    compare_symbolic,
    parse_latex,
)
from r1.rewards.math.text import normalise, unwrap
from r1.rewards.math.value import parse_value
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

MAX_CHARS = 400
PLAIN_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?", re.ASCII)


def score_math(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Return 1 if the answer is mathematically equal to the reference."""
    verdict, reason = compare(problem.reference or "", answer, problem.prompt)
    if verdict is Sameness.EQUAL:
        return Score(1.0, Outcome.CORRECT)
    unread = verdict is Sameness.UNREADABLE
    return Score(0.0, Outcome.UNPARSEABLE if unread else Outcome.WRONG, reason)


@lru_cache(maxsize=8192)
def compare(reference: str, answer: str, question: str = "") -> tuple[Sameness, str]:
    """Compare an answer with the reference and return a reason for people. May hang: use the
    pool."""
    if PLAIN_NUMBER.fullmatch(answer) and PLAIN_NUMBER.fullmatch(reference):
        equal = Fraction(answer) == Fraction(reference)
        return (
            (Sameness.EQUAL, "")
            if equal
            else (Sameness.DIFFERENT, f"{answer} is not the reference")
        )
    gold_text = _simplify(reference)
    limit = max(MAX_CHARS, 3 * len(gold_text))
    if len(answer) > 4 * limit:
        return Sameness.DIFFERENT, "the answer is too long"
    text = _simplify(answer)
    if not text:
        return Sameness.UNREADABLE, "no mathematics in the answer"
    if len(text) > limit:
        return Sameness.DIFFERENT, "the answer is too long"
    text = _without_operation(text, gold_text)
    if plain_key(text) == plain_key(gold_text) or _same_selection(gold_text, text, question):
        return Sameness.EQUAL, ""
    if is_too_hard(text, gold_text):
        return Sameness.DIFFERENT, "refused: too large to be an answer"
    verdict = _compare_texts(gold_text, text, _question_key(question))
    return verdict, "" if verdict is Sameness.EQUAL else f"{text[:60]!r} is not the reference"


def _compare_texts(gold_text: str, text: str, question: str) -> Sameness:
    same = _compare_choices(gold_text, text)
    if same is None:
        same = compare_times(gold_text, text)
    if same is not None:
        return Sameness.EQUAL if same else Sameness.DIFFERENT
    gold, given = cut_domain(gold_text), cut_domain(text)
    if not domains_agree(gold, given):
        return Sameness.DIFFERENT
    gold_text, text, name = with_common_name(gold, given)
    asked = QuestionContext(question, name if (gold.domain or given.domain) == "Z" else None)
    return compare_values(_structure(gold_text), _structure(text), asked)


_OPERATION = re.compile(
    r"\s*(?:\\(?:lim|int|iint|oint|sum|prod|gcd|lcm|max|min|det)(?![a-z])|(?:gcd|lcm|max|min|det)\s*\()"
)


def _without_operation(text: str, gold: str) -> str:
    r"""Return 4 for `\lim_{x\to 2} x^2 = 4`: the left side says what the number is."""
    sides = split(text, EQUALS)
    named = len(sides) == 2 and _OPERATION.match(sides[0]) and not _OPERATION.match(gold)
    return sides[1].strip() if named else text


_LETTER = re.compile(r"\(?([A-J])\)?[.:]?")
_LETTER_FIRST = re.compile(r"(?:\(([A-J])\)|([A-J])(?:[.:)]|\s+(?=\\dollar|\d)))\s*(?P<rest>\S.*)")
_OTHER_CHOICE = re.compile(
    r"\b(?:or|and|not|nor|but|wrong|incorrect)\b|[或和不非]|\([A-J]\)|\b[A-J]\b"
)


def _compare_choices(gold: str, given: str) -> bool | None:
    """Compare "(C) 15" with C, in either order; None if neither is a letter with its option."""
    golds, givens = _LETTER_FIRST.fullmatch(gold), _LETTER_FIRST.fullmatch(given)
    if _LETTER.fullmatch(gold) and givens and not _OTHER_CHOICE.search(givens["rest"]):
        return _LETTER.sub(r"\1", gold) == (givens[1] or givens[2])
    if _LETTER.fullmatch(given) and golds and not _OTHER_CHOICE.search(golds["rest"]):
        return _LETTER.sub(r"\1", given) == (golds[1] or golds[2])
    return None


_OFFERED = re.compile(r"(?<![A-Za-z])([A-H])\s*[.、．:：)）]")
_LISTED = re.compile(r"[A-H](?:\s*(?:,|和|\band\b)\s*[A-H])+")


def _same_selection(gold: str, given: str, question: str) -> bool:
    """Whether "A, C" and AC select the same options; a question that is known must offer them, as
    AC may be a product or a segment."""
    if not (_is_selection(gold, given) or _is_selection(given, gold)):
        return False
    offered = set(_OFFERED.findall(question[:20_000]))
    return not question or set(re.findall("[A-H]", gold)) <= offered


def _is_selection(together: str, listed: str) -> bool:
    """Whether AC, in the order of the letters, is the selection that "A, C" lists."""
    letters = sorted(re.findall("[A-H]", listed)) if _LISTED.fullmatch(listed) else []
    return len(set(letters)) == len(letters) > 1 and together == "".join(letters)


_structure = lru_cache(maxsize=1024)(parse_value)


@lru_cache(maxsize=1024)
def _question_key(question: str) -> str:
    return plain_key(normalise(question)) if len(question) < 20_000 else ""


@lru_cache(maxsize=1024)
def _simplify(text: str) -> str:
    r"""Normalise and unwrap; one `\boxed{}`, or several that form one answer, replace the sentence
    around them."""
    text = text.strip()
    if "\\boxed" in text and (boxed := boxed_answer(text, whole=True)) is not None:
        text = boxed
    return unwrap(normalise(text))


# Verifier ----------------------------------------------------------------------------------------


def check_math(problem: Problem) -> str | None:
    """Check that the reference can be read and, without the shortcut, equals itself."""
    if not problem.reference or not problem.reference.strip():
        return "math needs a reference that is not empty"
    text = _simplify(problem.reference)
    if not text:
        return f"reference {problem.reference!r} holds no mathematics"
    if len(text) > 4 * MAX_CHARS:
        return f"the reference is longer than {4 * MAX_CHARS} characters"
    if compare_times(text, text):
        return None
    if is_hard_reference(text.replace("!!", "!")):
        return f"reference {text[:60]!r} is too large to be computed with"
    value = parse_value(cut_domain(text).text)
    unread = next((atom for atom in _atoms(value) if not _is_readable(atom)), None)
    return None if unread is None else f"{unread[:60]!r} in the reference cannot be read"


def _atoms(value: Value) -> list[str]:
    if isinstance(value, Atom):
        return list(value.chain)
    return [atom for part in value.parts for atom in _atoms(part)]


def _is_readable(atom: str) -> bool:
    core = cut_quantity(atom).core
    return read_number(core) is not None or is_words(atom) or parse_latex(core) is not None


def equal_math(a: str, b: str) -> bool:
    """Whether two answers are mathematically the same, in either order."""
    return compare(a, b)[0] is Sameness.EQUAL or compare(b, a)[0] is Sameness.EQUAL


def _warm() -> None:
    parse_latex("\\frac{x^{2}+1}{2}")
    compare_symbolic("\\sqrt{8}+x", "x+2\\sqrt{2}")


register_verifier("math", Verifier(score_math, check_math, equal_math, _warm, reads=()))
