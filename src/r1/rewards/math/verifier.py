r"""Mathematical equality of an answer and its reference; symbolic cases by math-verify.

1. notation: unicode, full-width, Chinese and ASCII forms become one LaTeX (text);
2. structure: alternatives, tuples, sets, intervals and equations are matched part by part
   (value): as many parts as the reference has, so listing candidates never pays;
3. plain numbers, with units and per cent signs, are compared exactly without sympy (numbers);
4. what remains goes to math-verify with its timeouts off (they use SIGALRM, which fails outside
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

from r1.rewards.math.numbers import Number, Quantity, cut_quantity, read_number
from r1.rewards.math.symbolic import (
    Verdict,
    compare_symbolic,
    is_hard_reference,
    is_too_hard,
    parse_latex,
)
from r1.rewards.math.text import normalise, unwrap
from r1.rewards.math.units import units_agree
from r1.rewards.math.value import Atom, Group, Value, parse_value
from r1.rewards.boxes import last_boxed
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

MAX_CHARS = 400
ROUNDING = Fraction(1, 2 * 10**6)
LONG_INTEGER_DIGITS = 8
"""From this many digits on, a reference may be answered by a power such as 2^{30}."""


PLAIN_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?", re.ASCII)


def score_math(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """1 if the answer is mathematically the reference."""
    verdict, reason = compare(problem.reference or "", answer, problem.prompt)
    if verdict is Verdict.EQUAL:
        return Score(1.0, Outcome.CORRECT)
    unread = verdict is Verdict.UNREADABLE
    return Score(0.0, Outcome.UNPARSEABLE if unread else Outcome.WRONG, reason)


@lru_cache(maxsize=8192)
def compare(reference: str, answer: str, question: str = "") -> tuple[Verdict, str]:
    """Compare an answer with the reference; the reason is for people. May hang: use the pool."""
    if PLAIN_NUMBER.fullmatch(answer) and PLAIN_NUMBER.fullmatch(reference):
        equal = Fraction(answer) == Fraction(reference)
        return (
            (Verdict.EQUAL, "") if equal else (Verdict.DIFFERENT, f"{answer} is not the reference")
        )
    gold_text = _simplify(reference)
    limit = max(MAX_CHARS, 3 * len(gold_text))
    if len(answer) > 4 * limit:
        return Verdict.DIFFERENT, "the answer is too long"
    text = _simplify(answer)
    if not text:
        return Verdict.UNREADABLE, "no mathematics in the answer"
    if len(text) > limit:
        return Verdict.DIFFERENT, "the answer is too long"
    if _key(text) == _key(gold_text):
        return Verdict.EQUAL, ""
    if is_too_hard(text, gold_text):
        return Verdict.DIFFERENT, "refused: too large to be an answer"
    verdict = _compare_values(_structure(gold_text), _structure(text), _question_key(question))
    return verdict, "" if verdict is Verdict.EQUAL else f"{text[:60]!r} is not the reference"


_structure = lru_cache(maxsize=1024)(parse_value)


@lru_cache(maxsize=1024)
def _question_key(question: str) -> str:
    return _key(normalise(question)) if len(question) < 20_000 else ""


@lru_cache(maxsize=1024)
def _simplify(text: str) -> str:
    """Normalise and unwrap; a sentence around one `\\boxed{}` gives way to it."""
    text = text.strip()
    if text.count("\\boxed") == 1 and (boxed := last_boxed(text)) is not None:
        text = boxed
    return unwrap(normalise(text))


def _key(text: str) -> str:
    """The text without what never matters: spaces, delimiters, braces around one symbol."""
    text = re.sub(r"\s+|\\(?:left|right)(?![a-z])|\$", "", text)
    return re.sub(r"\{(\w)\}", r"\1", text)


# Structure ---------------------------------------------------------------------------------------


def _compare_values(gold: Value, given: Value, question: str) -> Verdict:
    if isinstance(gold, Group):
        if not isinstance(given, Group):
            return _compare_whole(gold, given, question)
        if (gold.opening, gold.closing) == (given.opening, given.closing):
            ordered = gold.opening not in ("", "{", "∪")
        elif {gold.opening, given.opening} == {"", "{"}:
            ordered = False
        elif gold.opening == "∪" and given.opening == "" and _are_intervals(given):
            ordered = False  # x < 1 or x > 2
        elif gold.opening == "(" and gold.closing == ")" and given.opening == "":
            ordered, given = True, _by_name(given)
        else:
            return Verdict.DIFFERENT
        return _compare_parts(gold.parts, given.parts, ordered, question)
    if isinstance(given, Group):
        return Verdict.DIFFERENT
    return _compare_atoms(gold, given, question)


def _by_name(group: Group) -> Group:
    """y = 2, x = 1 in the order of the names, as the coordinates of a point stand."""
    names = [part.name if isinstance(part, Atom) else None for part in group.parts]
    if not all(names):
        return group
    order = sorted(range(len(names)), key=lambda i: names[i] or "")
    return group._replace(parts=tuple(group.parts[i] for i in order))


def _are_intervals(group: Group) -> bool:
    return all(isinstance(part, Group) and part.opening in ("(", "[") for part in group.parts)


def _compare_whole(gold: Group, given: Atom, question: str) -> Verdict:
    """A set with one member may be answered by the member."""
    if len(gold.parts) == 1 and gold.opening == "{":
        return _compare_values(gold.parts[0], given, question)
    if gold == _REALS and given.chain[-1].strip() == "R":
        return Verdict.EQUAL
    if gold.opening == ":" and len(gold.parts) == 2:
        above, below = (part.chain[0] for part in gold.parts if isinstance(part, Atom))
        return _compare_expressions(f"\\frac{{{above}}}{{{below}}}", given.chain[-1], question)
    return Verdict.DIFFERENT


_REALS = parse_value("\\mathbb{R}")


def _compare_parts(
    gold: tuple[Value, ...], given: tuple[Value, ...], ordered: bool, question: str
) -> Verdict:
    if len(gold) != len(given):
        return Verdict.DIFFERENT
    if ordered:
        verdicts = [_compare_values(*pair, question) for pair in zip(gold, given, strict=True)]
        return next((v for v in verdicts if v is not Verdict.EQUAL), Verdict.EQUAL)
    names = {part.name for part in gold if isinstance(part, Atom) and part.name}
    left = list(given)
    for part in gold:
        for candidate in left:
            if len(names) > 1 and not (isinstance(candidate, Atom) and candidate.name):
                continue  # x = 1, y = 2 says which is which; 2, 1 does not
            if _compare_values(part, candidate, question) is Verdict.EQUAL:
                left.remove(candidate)
                break
        else:
            return Verdict.DIFFERENT
    return Verdict.EQUAL


_SUM = re.compile(r"[A-Za-z](?:\s*\+\s*[A-Za-z]){1,4}")


def _compare_atoms(gold: Atom, given: Atom, question: str) -> Verdict:
    gold_is_equation = gold.name is None and len(gold.chain) > 1
    if len(gold.chain) == 1 and len(given.chain) == 2 and _SUM.fullmatch(given.chain[0].strip()):
        given = Atom(None, given.chain[1:])  # m + n = 17 says what 17 is
    if gold_is_equation or (given.name is None and len(given.chain) > 1 and gold.name):
        return compare_symbolic(_as_equation(gold), _as_equation(given), relational=True)
    if gold.name and given.name and not _names_agree(gold.name, given.name):
        return Verdict.DIFFERENT
    return _last(gold, given, question)


def _names_agree(gold: str, given: str) -> bool:
    """Symbols must be the same one; words ("area", 面积) only say what is meant."""
    if gold == given:
        return True
    words = [name for name in (gold, given) if len(name) > 2 or not name.isascii()]
    return len(words) > 0 and not any("\\" in name or "_" in name for name in (gold, given))


def _last(gold: Atom, given: Atom, question: str) -> Verdict:
    """Compare the last sides; every earlier side of the answer must be equal too."""
    verdict = _compare_expressions(gold.chain[-1], given.chain[-1], question)
    if verdict is not Verdict.EQUAL or len(given.chain) == 1:
        return verdict
    for side in given.chain[:-1]:
        if compare_symbolic(given.chain[-1], side) is not Verdict.EQUAL:
            return Verdict.DIFFERENT
    return verdict


def _as_equation(atom: Atom) -> str:
    sides = ([atom.name] if atom.name else []) + list(atom.chain)
    return " = ".join(sides)


# Expressions -------------------------------------------------------------------------------------

_SLASH = re.compile(r"(?<![\w.}])(\d+)\s*/\s*(\d+)(?=\s*(?:[A-Za-z(]|\\[a-z]))")
_WORDS = re.compile(r"(?!.*\\)[A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff '-]*")
_ARITHMETIC = re.compile(r"[\d\s.+\-*/^(){}!:]|\\(?:times|cdot|div|frac|sqrt|binom)(?![a-z])")


def _compare_expressions(gold: str, given: str, question: str) -> Verdict:
    if _key(gold) == _key(given):
        return Verdict.EQUAL
    if (verdict := _compare_bases(gold, given, question)) is not None:
        return verdict
    gold_quantity, quantity = cut_quantity(gold), cut_quantity(given)
    if not units_agree(gold_quantity.unit, quantity.unit):
        return Verdict.DIFFERENT
    gold_number, number = read_number(gold_quantity.core), read_number(quantity.core)
    if gold_number is not None:
        return _compare_numbers(gold_number, gold_quantity, number, quantity)
    if _is_words(gold) or _is_words(given):
        return _compare_words(gold, given)
    if quantity.percent != gold_quantity.percent:
        return Verdict.DIFFERENT
    if number is None and _repeats_question(given, question):
        return Verdict.DIFFERENT
    verdict = compare_symbolic(gold_quantity.core, quantity.core)
    if verdict is Verdict.DIFFERENT:
        loose = [_SLASH.sub(r"\\frac{\1}{\2}", each) for each in (gold, given)]
        if loose != [gold, given]:  # 1/2x is half of x to many
            return compare_symbolic(cut_quantity(loose[0]).core, cut_quantity(loose[1]).core)
    return verdict


_IN_BASE = re.compile(r"\(?\s*([0-9A-F]+)\s*\)?\s*_\s*(?:\{\s*(\w+)\s*\}|(\d))")


def _compare_bases(gold: str, given: str, question: str) -> Verdict | None:
    """Compare numerals of a base: 2516_8; None where neither side is one.

    A base that the answer leaves out is understood; one that only the answer names must have been
    asked for.
    """
    golds, givens = _IN_BASE.fullmatch(gold.strip()), _IN_BASE.fullmatch(given.strip())
    if not golds and not givens:
        return None
    digits = [
        found[1] if found else text.strip() for found, text in ((golds, gold), (givens, given))
    ]
    bases = [_base(found) if found else None for found in (golds, givens)]
    named = golds is not None or re.search("base|binary|octal|hexa|进制", question) is not None
    same = digits[0] == digits[1] and (None in bases or bases[0] == bases[1])
    return Verdict.EQUAL if same and named else Verdict.DIFFERENT


def _base(found: re.Match[str]) -> Fraction | None:
    number = read_number(found[2] or found[3])
    return number.value if number else None


def _compare_numbers(
    gold: Number, gold_quantity: Quantity, given: Number | None, quantity: Quantity
) -> Verdict:
    if given is None:
        readable = _ARITHMETIC.sub("", quantity.core) == "" or _is_words(quantity.core)
        parsed = readable or parse_latex(quantity.core) is not None
        return Verdict.DIFFERENT if parsed else Verdict.UNREADABLE
    if gold.form == "integer" and given.form in ("fraction", "ratio", "power"):
        long = len(str(abs(gold.value.numerator))) >= LONG_INTEGER_DIGITS
        short = given.form == "power" and (long or quantity.core.startswith("10^"))
        # A reducible fraction or a power standing for a small integer is arithmetic left undone.
        if not short and not quantity.percent and not gold_quantity.percent:
            return Verdict.DIFFERENT
    if gold.form == given.form == "ratio" and _terms(gold_quantity) != _terms(quantity):
        return Verdict.DIFFERENT
    equal = _values_agree(gold.value, gold_quantity.percent, given.value, quantity.percent)
    if not equal and "decimal" in (gold.form, given.form) and not gold_quantity.percent:
        equal = _equal_when_rounded(gold, given, quantity)
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


def _terms(ratio: Quantity) -> list[str]:
    """6:8 is not 3:4 where ratios are asked for: reducing it was the task."""
    return re.findall(r"\d+", ratio.core)


def _values_agree(gold: Fraction, gold_percent: bool, given: Fraction, percent: bool) -> bool:
    """50 % is 0.5; where only one side has the sign, numbers from 1 on may also mean per cent."""
    if gold_percent == percent:
        return gold == given
    if gold_percent:
        return gold / 100 == given or (gold == given and abs(given) >= 1)
    return gold == given / 100 or (gold == given and abs(gold) >= 1)


def _equal_when_rounded(gold: Number, given: Number, quantity: Quantity) -> bool:
    """A decimal of at least six places may stand for a fraction that never ends."""
    exact, rounded = (given, gold) if gold.form == "decimal" else (gold, given)
    if exact.form == "decimal" or rounded.value.denominator < 10**5 or quantity.percent:
        return False
    return abs(exact.value - rounded.value) <= ROUNDING


def _is_words(text: str) -> bool:
    """True for answers such as "east" or 星期三, which mean nothing to sympy."""
    return bool(_WORDS.fullmatch(text)) and (max(map(len, text.split())) >= 3 or not text.isascii())


def _compare_words(gold: str, given: str) -> Verdict:
    def plain(text: str) -> str:
        return re.sub(r"^(?:the|an?) ", "", " ".join(text.casefold().split()).strip(" .。'\""))

    if plain(gold) == plain(given):
        return Verdict.EQUAL
    return Verdict.DIFFERENT if _is_words(gold) else Verdict.UNREADABLE


def _repeats_question(given: str, question: str) -> bool:
    """True for a formula copied from the question: simplifying it was the task."""
    key = _key(given)
    if len(key) < 4 or not re.search(r"[+*/^\\(-]", key):
        return False
    return key in question


# Verifier ----------------------------------------------------------------------------------------


def check_math(problem: Problem) -> str | None:
    """The reference must be readable, and equal to itself through everything but the shortcut."""
    if not problem.reference or not problem.reference.strip():
        return "math needs a reference that is not empty"
    text = _simplify(problem.reference)
    if not text:
        return f"reference {problem.reference!r} holds no mathematics"
    if len(text) > 4 * MAX_CHARS:
        return f"the reference is longer than {4 * MAX_CHARS} characters"
    if is_hard_reference(text):
        return f"reference {text[:60]!r} is too large to be computed with"
    value = parse_value(text)
    unread = next((atom for atom in _atoms(value) if not _is_readable(atom)), None)
    return None if unread is None else f"{unread[:60]!r} in the reference cannot be read"


def _atoms(value: Value) -> list[str]:
    if isinstance(value, Atom):
        return list(value.chain)
    return [atom for part in value.parts for atom in _atoms(part)]


def _is_readable(atom: str) -> bool:
    core = cut_quantity(atom).core
    return read_number(core) is not None or _is_words(atom) or parse_latex(core) is not None


def equal_math(a: str, b: str) -> bool:
    """Whether two answers are mathematically the same, in either order."""
    return compare(a, b)[0] is Verdict.EQUAL or compare(b, a)[0] is Verdict.EQUAL


def _warm() -> None:
    parse_latex("\\frac{x^{2}+1}{2}")
    compare_symbolic("\\sqrt{8}+x", "x+2\\sqrt{2}")


register_verifier("math", Verifier(score_math, check_math, equal_math, _warm))
