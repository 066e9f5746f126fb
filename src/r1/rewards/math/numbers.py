r"""Plain numbers, their units and per cent signs, read exactly and without sympy.

A plain number is an integer, a decimal (also a recurring one), a fraction `a/b` or `\frac{a}{b}`, a
mixed number, a ratio `a:b`, a power of numbers, scientific notation, or words, English or Chinese.
Everything else is an expression and gives None. Sizes are capped, so that no input is slow.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

from r1.rewards.math import chinese_numbers, english_numbers
from r1.rewards.math.unit_table import ONE, Unit, multiply, named
from r1.rewards.math.units import MONEY, is_chinese, is_counted, parse_unit

MAX_DIGITS = 400
MAX_EXPONENT = 400

Form = Literal["integer", "decimal", "fraction", "ratio", "power"]


class Number(NamedTuple):
    """An exact value and the form in which it was written."""

    value: Fraction
    form: Form


class Quantity(NamedTuple):
    """A text split into its core, its unit (None without one) and its per cent sign."""

    core: str
    unit: Unit | None
    percent: bool


_DECIMAL = r"[+-]?\s?(?:\d+(?:\.\d*)?|\.\d+)"
_INTEGER_RE = re.compile(r"[+-]?\s?\d+")
_DECIMAL_RE = re.compile(_DECIMAL)
_THOUSANDS = re.compile(r"[+-]?\s?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[+-]?\s?\d{1,3}(?: \d{3})+")
_SLASH = re.compile(rf"(-?)\s*\(?\s*({_DECIMAL})\s*\)?\s*/\s*\(?\s*({_DECIMAL})\s*\)?")
_FRAC = re.compile(rf"([+-]?)\s*\\frac\s*\{{\s*({_DECIMAL})\s*\}}\s*\{{\s*({_DECIMAL})\s*\}}")
_MIXED = re.compile(
    r"([+-]?)\s*(\d+)\s*(?:\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|\s(\d+)\s*/\s*(\d+))"
)
_RATIO = re.compile(r"(\d+)\s*(?::|\bto\b)\s*(\d+)")
_RECURRING = re.compile(
    r"(?P<sign>-?)(?P<whole>\d+)\.(?P<fixed>\d*)"
    r"(?:\\overline\s*\{(?P<bar>\d+)\}|\((?P<round>\d+)\)"
    r"|\\dot\s*\{?(?P<first>\d)\}?(?:(?P<between>\d*)\\dot\s*\{?(?P<last>\d)\}?)?)(?:\\?\.\.\.)?"
)
_POWER = re.compile(rf"(-?)\s*\(?\s*({_DECIMAL})\s*\)?\s*\^\s*(?:\{{\s*([+-]?\d+)\s*\}}|(\d))")
_SCIENTIFIC = re.compile(
    rf"({_DECIMAL})\s*(?:(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?:\{{\s*([+-]?\d+)\s*\}}|([+-]?\d+))"
    r"|[eE]([+-]?\d+))"
)


@lru_cache(maxsize=4096)
def read_number(text: str) -> Number | None:
    """Return the number that the whole text denotes, or None."""
    text = text.strip()
    if not text or len(text) > MAX_DIGITS:
        return None
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "").replace(" ", "")
    if _INTEGER_RE.fullmatch(text):
        return Number(_fraction(text), "integer")
    if _DECIMAL_RE.fullmatch(text):
        return Number(_fraction(text), "decimal")
    for read in (_read_fraction, _read_mixed, _read_ratio, _read_power, _read_scientific):
        number = read(text)
        if number is not None:
            return number
    value = _read_recurring(text)
    for language in (chinese_numbers, english_numbers):
        value = language.read_number(text) if value is None else value
    if value is None:
        return None
    return Number(value, "integer" if value.denominator == 1 else "fraction")


def _read_recurring(text: str) -> Fraction | None:
    r"""Return 1/6 for `0.1\overline{6}`, `0.1\dot{6}` and `0.1(6)`."""
    if not (found := _RECURRING.fullmatch(text)):
        return None
    dotted = "".join(found[name] or "" for name in ("first", "between", "last"))
    period = found["bar"] or found["round"] or dotted
    fixed = found["fixed"]
    ends = Fraction(int(found["whole"] + fixed), 10 ** len(fixed))
    value = ends + Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
    return -value if found["sign"] else value


def _fraction(text: str) -> Fraction:
    return Fraction(text.replace(" ", "").rstrip("."))


def _ratio(sign: str, above: Fraction, below: Fraction, form: Form) -> Number | None:
    return None if below == 0 else Number((-1 if sign == "-" else 1) * above / below, form)


def _read_fraction(text: str) -> Number | None:
    if not (found := _SLASH.fullmatch(text) or _FRAC.fullmatch(text)):
        return None
    return _ratio(found[1], _fraction(found[2]), _fraction(found[3]), "fraction")


def _read_mixed(text: str) -> Number | None:
    if not (found := _MIXED.fullmatch(text)):
        return None
    above, below = int(found[3] or found[5]), int(found[4] or found[6])
    if not 0 < above < below:
        return None
    return _ratio(found[1], Fraction(int(found[2]) * below + above), Fraction(below), "fraction")


def _read_ratio(text: str) -> Number | None:
    if not (found := _RATIO.fullmatch(text)):
        return None
    return _ratio("", Fraction(int(found[1])), Fraction(int(found[2])), "ratio")


def _read_power(text: str) -> Number | None:
    if not (found := _POWER.fullmatch(text)):
        return None
    base, exponent = _fraction(found[2]), int(found[3] or found[4])
    if abs(exponent) > MAX_EXPONENT or (base == 0 and exponent <= 0):
        return None
    if found[1] or (base < 0 and "(" not in text):
        base = abs(base)
        return Number(-(base**exponent), "power")
    return Number(base**exponent, "power")


def _read_scientific(text: str) -> Number | None:
    if not (found := _SCIENTIFIC.fullmatch(text)):
        return None
    exponent = int(found[2] or found[3] or found[4])
    if abs(exponent) > MAX_EXPONENT:
        return None
    return Number(_fraction(found[1]) * Fraction(10) ** exponent, "decimal")


_PERCENT = re.compile(r"\s*(?:%|\bper ?cent(?:age)?\b|\bpct\b)\s*\Z", re.IGNORECASE)
_MONEY = re.compile(r"(?P<sign>-?)\s*(?P<money>\\dollar|US\$|\$|¥|€|£)\s*")
_OF_ANGLES = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_NUMBER_ENDS = re.compile(
    r"[\d)}\]]|\\pi(?![a-z])|\\infty(?![a-z])|[零〇一二两三四五六七八九十百千万亿]"
    rf"|(?:\b|-)(?:{'|'.join(sorted(english_numbers.WORDS))})\b"
)
_MAY_BE_SYMBOL = re.compile(r"[A-Za-z](?:\s*\^.*)?")
_NO_UNIT_BEGINS = re.compile(r"\s*(?:[-+=<>,;|!\d.:{]|\\(?!frac|cdot|mu|Omega|dollar|AA))")
MAX_SPLITS = 12


@lru_cache(maxsize=4096)
def cut_quantity(text: str, glued: bool = False) -> Quantity:
    """Cut off a unit and a per cent sign; a text with neither is returned whole.

    "3m" may be three times m, "3 m" is a length; glued takes both for lengths.
    """
    text = text.strip()
    if (found := _PERCENT.search(text)) and found.start() > 0:
        return Quantity(text[: found.start()].strip(), None, True)
    if text.startswith("百分之") and len(text) > 3:
        return Quantity(text[3:].strip(), None, True)
    if found := _MONEY.match(text):
        money = named(MONEY[found["money"]])
        rest = _cut_unit(found["sign"] + text[found.end() :], glued)
        if rest.unit is not None and money is not None and rest.unit != money:
            below = all(power < 0 for _, power in rest.unit.dimensions)
            money = multiply(money, rest.unit) if below else rest.unit
        return Quantity(rest.core.strip(), money, False)
    if _OF_ANGLES.search(text):
        return Quantity(text, None, False)
    return _cut_unit(text, glued)


def _cut_unit(text: str, glued: bool) -> Quantity:
    """Cut at the first position from which the rest is a unit."""
    if read_number(text) is not None:
        return Quantity(text, None, False)
    for count, found in enumerate(_NUMBER_ENDS.finditer(text)):
        if count >= MAX_SPLITS and not text[found.end() :].strip(" .").isalpha():
            continue
        core, rest = text[: found.end()].strip(), text[found.end() :]
        if not rest.strip() or _NO_UNIT_BEGINS.match(rest):
            continue
        unit = parse_unit(rest)
        if unit is None or not _goes_with(core, rest, unit, glued):
            continue
        return Quantity(core, None if unit == ONE else unit, False)
    return Quantity(text, None, False)


def _goes_with(core: str, rest: str, unit: Unit, glued: bool) -> bool:
    """Whether a text may be a number with a unit rather than a product of symbols."""
    if core.count("{") != core.count("}") or core.count("(") != core.count(")"):
        return False
    chinese = is_chinese(rest.strip())
    if is_counted(unit) or unit == ONE:
        apart = chinese or rest[:1].isspace() or rest[:1] in "/\\每"
        return apart and read_number(core) is not None
    return glued or rest[:1].isspace() or not _MAY_BE_SYMBOL.fullmatch(rest.strip())
