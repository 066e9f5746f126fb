r"""Equality of two single expressions: numbers with units exactly, formulas by their values.

Never paid: arithmetic left undone ("3 + 4" for 7), a formula copied from the question.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from r1.rewards.math.agreement import FIGURES, ROUNDING
from r1.rewards.math.bases import compare_bases
from r1.rewards.math.bound import cut_constant, states_constant, with_common_constants
from r1.rewards.math.numbers import Number, Quantity, cut_quantity, read_number
from r1.rewards.math.symbolic import (
    Sameness,
    compare_symbolic,
    is_same_family,
    is_same_up_to_constant,
    parse_latex,
)
from r1.rewards.math.units import units_agree

LONG_INTEGER_DIGITS = 8
"""From this many digits on, a reference may be answered by a power such as 2^{30}."""


class QuestionContext(NamedTuple):
    r"""The context for judging one expression: the question's plain text, and the name of a free
    whole number (the k of 2k\pi) or None."""

    question: str = ""
    any_integer: str | None = None


@lru_cache(maxsize=1024)
def plain_key(text: str) -> str:
    """Return the text without spaces, delimiters, and braces around single symbols."""
    text = re.sub(r"\\(?:left|right)(?![a-z])|\$", "", text)
    text = re.sub(r"(?<=\d)\s+(?=\d)", "\x00", text)  # 1 2 is not 12
    text = re.sub(r"\s+", "", text)
    return re.sub(r"\{(\w)\}", r"\1", text)


_SLASH = re.compile(r"(?<![\w.}])(\d+)\s*/\s*(\d+)(?=\s*(?:[A-Za-z(]|\\[a-z]))")
_WORDS = re.compile(r"(?!.*\\)[A-Za-z\u4e00-\u9fff][A-Za-z\u4e00-\u9fff '-]*")
_ARITHMETIC = re.compile(r"[\d\s.+\-*/^(){}!:]|\\(?:times|cdot|div|frac|sqrt|binom)(?![a-z])")


def compare_expressions(gold: str, given: str, asked: QuestionContext) -> Sameness:
    """Compare two expressions, both without names and lists."""
    if plain_key(gold) == plain_key(given):
        return Sameness.EQUAL
    if (same := compare_bases(gold, given, asked.question)) is not None:
        return Sameness.EQUAL if same else Sameness.DIFFERENT
    gold_quantity, quantity = _quantities(gold, given)
    verdict = _compare_quantities(gold_quantity, quantity, gold, given, asked)
    if verdict is Sameness.EQUAL or gold_quantity.core == gold.strip():
        return verdict
    if gold_quantity.unit is not None and quantity.unit is not None:
        return verdict  # 2 mN is not 2 N m
    if _is_product_of(gold) and _is_product_of(given) and set(gold) & set(given) >= _letters(gold):
        return compare_symbolic(gold, given)  # "2 h k" is a product of symbols, not hours
    return verdict


def _letters(text: str) -> set[str]:
    return {symbol for symbol in text if symbol.isalpha()}


def _is_product_of(text: str) -> bool:
    """Whether a text may be a number times symbols of one letter."""
    return bool(re.fullmatch(r"[\d.\s]+(?:[A-Za-z](?:\s*\^\s*\{?-?\d\}?)?\s*)+", text))


def _quantities(gold: str, given: str) -> tuple[Quantity, Quantity]:
    """Return both sides with their units; "3m" is a length if the other side has a unit."""
    gold_quantity, quantity = cut_quantity(gold), cut_quantity(given)
    if gold_quantity.unit is not None and quantity.unit is None:
        quantity = cut_quantity(given, glued=True)
    elif quantity.unit is not None and gold_quantity.unit is None:
        gold_quantity = cut_quantity(gold, glued=True)
    return gold_quantity, quantity


def _compare_quantities(
    gold_quantity: Quantity, quantity: Quantity, gold: str, given: str, asked: QuestionContext
) -> Sameness:
    if not units_agree(gold_quantity.unit, quantity.unit):
        return Sameness.DIFFERENT
    if (gold_quantity.percent and quantity.unit) or (quantity.percent and gold_quantity.unit):
        return Sameness.DIFFERENT
    gold_number, number = read_number(gold_quantity.core), read_number(quantity.core)
    if gold_number is not None:
        return _compare_numbers(gold_number, gold_quantity, number, quantity)
    if is_words(gold) or is_words(given):
        return _compare_words(gold, given)
    if quantity.percent != gold_quantity.percent:
        return Sameness.DIFFERENT
    if number is None and repeats_question(given, asked.question):
        return Sameness.DIFFERENT
    return _compare_formulas(gold_quantity.core, quantity.core, asked)


def _compare_formulas(gold: str, given: str, asked: QuestionContext) -> Sameness:
    if states_constant(gold):
        rest, other = cut_constant(gold), cut_constant(given)
        if rest is None or other is None:
            return Sameness.DIFFERENT
        same = plain_key(rest) == plain_key(other) or is_same_up_to_constant(rest, other)
        return Sameness.EQUAL if same else Sameness.DIFFERENT
    for renamed in with_common_constants(gold, given):
        verdict = compare_symbolic(gold, renamed)
        if verdict is not Sameness.DIFFERENT:
            return verdict
    loose = [_SLASH.sub(r"\\frac{\1}{\2}", each) for each in (gold, given)]
    if loose != [gold, given]:  # 1/2x is half of x to many
        verdict = compare_symbolic(loose[0], loose[1])
    if verdict is Sameness.DIFFERENT and asked.any_integer is not None:
        same = is_same_family(gold, given, asked.any_integer)
        return Sameness.EQUAL if same else verdict
    return verdict


def _compare_numbers(
    gold: Number, gold_quantity: Quantity, given: Number | None, quantity: Quantity
) -> Sameness:
    if given is None:
        readable = _ARITHMETIC.sub("", quantity.core) == "" or is_words(quantity.core)
        parsed = readable or parse_latex(quantity.core) is not None
        return Sameness.DIFFERENT if parsed else Sameness.UNREADABLE
    if gold.form == "integer" and given.form in ("fraction", "ratio", "power"):
        long = len(str(abs(gold.value.numerator))) >= LONG_INTEGER_DIGITS
        short = given.form == "power" and (long or quantity.core.startswith("10^"))
        # A reducible fraction or a power standing for a small integer is arithmetic left undone.
        if not short and not quantity.percent and not gold_quantity.percent:
            return Sameness.DIFFERENT
    if gold.form == given.form == "ratio" and _terms(gold_quantity) != _terms(quantity):
        return Sameness.DIFFERENT
    equal = _values_agree(gold.value, gold_quantity.percent, given.value, quantity.percent)
    if not equal and "decimal" in (gold.form, given.form) and not gold_quantity.percent:
        equal = _equal_when_rounded(gold, given, quantity)
    return Sameness.EQUAL if equal else Sameness.DIFFERENT


def _terms(ratio: Quantity) -> list[str]:
    """Return a ratio's terms; if the question asks for ratios, 6:8 is not 3:4."""
    return re.findall(r"\d+", ratio.core)


def _values_agree(gold: Fraction, gold_percent: bool, given: Fraction, percent: bool) -> bool:
    """Compare values: 50 % is 0.5; with one sign missing, numbers from 1 may be per cent."""
    if gold_percent == percent:
        return gold == given
    if gold_percent:
        return gold / 100 == given or (gold == given and abs(given) >= 1)
    return gold == given / 100 or (gold == given and abs(gold) >= 1)


def _equal_when_rounded(gold: Number, given: Number, quantity: Quantity) -> bool:
    """Whether a decimal of six places and five figures stands for a fraction that never ends."""
    exact, rounded = (given, gold) if gold.form == "decimal" else (gold, given)
    if exact.form == "decimal" or rounded.value.denominator < 10**5 or quantity.percent:
        return False
    gap = abs(exact.value - rounded.value)
    return gap <= Fraction(ROUNDING) and gap <= Fraction(FIGURES) * abs(exact.value)


def is_words(text: str) -> bool:
    """Whether an answer is words that mean nothing to sympy, such as "east" or 星期三."""
    return bool(_WORDS.fullmatch(text)) and (max(map(len, text.split())) >= 3 or not text.isascii())


def _compare_words(gold: str, given: str) -> Sameness:
    def plain(text: str) -> str:
        return re.sub(r"^(?:the|an?) ", "", " ".join(text.casefold().split()).strip(" .。'\""))

    if plain(gold) == plain(given):
        return Sameness.EQUAL
    return Sameness.DIFFERENT if is_words(gold) else Sameness.UNREADABLE


def repeats_question(given: str, question: str) -> bool:
    """Whether a formula is copied from the question, whose task was to simplify it."""
    key = plain_key(given)
    if len(key) < 4 or not re.search(r"[+*/^\\(-]", key):
        return False
    return key in question
