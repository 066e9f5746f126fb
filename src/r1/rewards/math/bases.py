r"""Numerals of a base (2516_8, 1F_{16}, "143 (base 5)", 101（二进制）) and times of the day."""

from __future__ import annotations

import re
from fractions import Fraction

from r1.rewards.math.numbers import read_number

_DIGITS = r"[0-9A-Fa-f]*\d[0-9A-Fa-f]*|[A-F]+|[a-f]+(?=\s*_\s*\{?\s*16)"
_IN_BASE = re.compile(
    rf"\(?\s*(?P<digits>{_DIGITS})\s*\)?\s*(?:_\s*(?:\{{\s*\(?(?P<base>\w+)\)?\s*\}}|(?P<one>\d))"
    r"|,?\s*\(?\s*(?:in\s+)?base[\s-]*\{?(?P<said>\w+)\}?\s*\)?|\(?(?P<chinese>[二三四五六七八九十]+|\d+)进制\)?"
    r"|\s*\(?\s*(?:in\s+)?(?P<word>binary|octal|hexadecimal|hex)\s*\)?)"
)
_WORDS = {"binary": 2, "octal": 8, "hex": 16, "hexadecimal": 16}
_ASKED = re.compile(r"base|binary|octal|hexa|进制")


def compare_bases(gold: str, given: str, question: str) -> bool | None:
    """Whether two numerals with a base are equal; None if neither side is one.

    A base that the answer leaves out is understood; one that only the answer names must have been
    asked for.
    """
    golds, givens = _IN_BASE.fullmatch(gold.strip()), _IN_BASE.fullmatch(given.strip())
    if not golds and not givens:
        return None
    digits = [
        _plain(found["digits"] if found else text)
        for found, text in ((golds, gold), (givens, given))
    ]
    bases = [_base(found) if found else None for found in (golds, givens)]
    named = golds is not None or _ASKED.search(question) is not None
    return digits[0] == digits[1] and (None in bases or bases[0] == bases[1]) and named


def _plain(digits: str) -> str:
    return digits.strip().upper().lstrip("0") or "0"


def _base(found: re.Match[str]) -> Fraction | None:
    if found["word"]:
        return Fraction(_WORDS[found["word"]])
    number = read_number(found["base"] or found["one"] or found["said"] or found["chinese"])
    return number.value if number else None


_TIME = re.compile(
    r"(?P<before>上午|早上|凌晨|下午|晚上)?\s*(?P<hour>\d{1,2})(?:[:点时](?P<minute>[0-5]\d)?(?<!:)分?)?"
    r"\s*(?:(?P<half>[aApP])\.?\s?[mM]\.?)?"
)


def compare_times(gold: str, given: str) -> bool | None:
    """Whether two times are equal, such as 3:30 p.m., 15:30 and 下午3:30.

    None if neither has a half of the day, 点 or 时.
    """
    first, second = (_TIME.fullmatch(text.strip()) for text in (gold, given))
    if first is None or second is None:
        return None
    halves = _half(first), _half(second)
    if not any((*halves, *re.findall("[点时]", gold + given))) or not all(
        _is_time(found) for found in (first, second)
    ):
        return None
    return _minutes(first, halves[0] or halves[1]) == _minutes(second, halves[1] or halves[0])


def _half(time: re.Match[str]) -> str:
    """Return "a" or "p", "" where the time does not say."""
    if time["before"]:
        return "p" if time["before"] in ("下午", "晚上") else "a"
    return (time["half"] or "").lower()


def _is_time(time: re.Match[str]) -> bool:
    """Whether minutes, a half of the day or 点 make a time of a number."""
    return bool(_half(time) or re.search("[:点时]", time[0]))


def _minutes(time: re.Match[str], half: str) -> int:
    """Return minutes since midnight; a time without a half of the day takes the other side's."""
    hour, minute = int(time["hour"]), int(time["minute"] or 0)
    if half and (_half(time) or hour <= 12):
        hour = hour % 12 + (12 if half == "p" else 0)
    return 60 * hour + minute
