"""Compare a program's output with the expected one. Pure functions, outside any program's reach.

Text (standard output) is compared token by token, so only the presence of white space matters. An
expected decimal number d accepts any finite number x with |x - d| <= tolerance * max(1, |d|); an
expected whole number accepts only the same number. Values (what a function returned, read from
JSON) are compared by type and content: true is not 1, "1" is not 1, but 2.0 is 2, which JavaScript
cannot tell apart.

Left out on purpose: "not a number" equals itself only if it is expected by name, and infinity is
within no tolerance, so that neither is accepted by accident.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Literal

TOLERANCE = 1e-6
MAX_DEPTH = 200
Mode = Literal["tokens", "lines", "decimals", "exact"]
Order = Literal["same", "any", "any at every level"]
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?\Z", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+\Z", re.ASCII)
_MAX_DIGITS = 400


def same_text(
    given: str, expected: str, tolerance: float | None, mode: Mode = "tokens", case: bool = True
) -> bool:
    """Whether an output matches the expected one; tolerance None compares numbers as text.

    mode "lines" keeps the white space inside lines (drawings), "exact" keeps all of it but for
    line ends at the very end. "decimals" is LiveCodeBench's: lines without white space at their
    ends, equal as texts or as exact decimal numbers, one by one.
    """
    if not case:
        given, expected = given.casefold(), expected.casefold()
    if mode == "exact":
        return given.rstrip("\r\n") == expected.rstrip("\r\n")
    if mode == "lines":
        return _lines(given) == _lines(expected)
    if mode == "decimals":
        pairs = zip_longest(*(text.strip().split("\n") for text in (given, expected)))
        return all(_same_decimals(a, b) for a, b in pairs)
    given_tokens, expected_tokens = given.split(), expected.split()
    return len(given_tokens) == len(expected_tokens) and all(
        same_token(a, b, tolerance) for a, b in zip(given_tokens, expected_tokens, strict=True)
    )


def _same_decimals(given: str | None, expected: str | None) -> bool:
    """Whether two lines are equal as texts or as numbers; None: there is no such line."""
    if given is None or expected is None:
        return False
    if given.strip() == expected.strip():
        return True
    try:
        return [Decimal(word) for word in given.split()] == [Decimal(w) for w in expected.split()]
    except ArithmeticError:  # a word that is no number, or a signalling one
        return False


def same_token(given: str, expected: str, tolerance: float | None) -> bool:
    """Whether one word or number matches the expected one."""
    if given == expected:
        return True
    if tolerance is None or max(len(given), len(expected)) > _MAX_DIGITS:
        return False
    if not _NUMBER.match(given) or not _NUMBER.match(expected):
        return False
    if _WHOLE.match(expected):
        # 1e-6 of a large whole number would be many whole numbers.
        return not _WHOLE.match(given) and abs(Decimal(given) - Decimal(expected)) <= tolerance
    return _close(float(given), float(expected), tolerance)


def has_decimals(text: str) -> bool:
    """Whether any token is a number with a decimal point or an exponent."""
    return any(_NUMBER.match(word) and not _WHOLE.match(word) for word in text.split())


def same_value(
    given: Any, expected: Any, tolerance: float | None = TOLERANCE, order: Order = "same"
) -> bool:
    """Whether a returned value (JSON types, NaN and infinities allowed) equals the expected one."""
    try:
        if order != "same":
            levels = MAX_DEPTH if order == "any at every level" else 1
            given, expected = _sorted(given, levels), _sorted(expected, levels)
        return _same(given, expected, tolerance, MAX_DEPTH)
    except RecursionError:
        return False


def parse_value(text: str) -> Any:
    """Read one JSON value that a program wrote; ValueError for anything else, however hostile."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _same(given: Any, expected: Any, tolerance: float | None, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(expected, bool) or isinstance(given, bool):
        return given is expected
    if isinstance(expected, (int, float)):
        return isinstance(given, (int, float)) and _same_number(given, expected, tolerance)
    if isinstance(expected, list):
        return (
            isinstance(given, list)
            and len(given) == len(expected)
            and all(_same(a, b, tolerance, depth - 1) for a, b in zip(given, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(given, dict)
            and given.keys() == expected.keys()
            and all(_same(given[k], expected[k], tolerance, depth - 1) for k in expected)
        )
    return type(given) is type(expected) and bool(given == expected)


def _same_number(given: float, expected: float, tolerance: float | None) -> bool:
    if isinstance(expected, int):
        return given == expected  # Python compares whole numbers and floats exactly
    if math.isnan(expected):
        return isinstance(given, float) and math.isnan(given)
    if tolerance is None or math.isinf(expected):
        return given == expected
    try:
        return _close(float(given), expected, tolerance)
    except OverflowError:
        return False


def _close(given: float, expected: float, tolerance: float) -> bool:
    finite = math.isfinite(given) and math.isfinite(expected)
    return finite and abs(given - expected) <= tolerance * max(1.0, abs(expected))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _sorted(value: Any, levels: int) -> Any:
    """Return the value with the items of its lists in a fixed order, down to `levels` levels."""
    if levels == 0 or not isinstance(value, list):
        return value
    items = [_sorted(item, levels - 1) for item in value]
    return sorted(items, key=_order_key)


def _order_key(item: Any) -> tuple[Any, ...]:
    """Return a key that orders values of any types, with a kind before each, so that only like is
    compared with like.

    Numbers stand by size, not by their digits: 2 where 2.0 does, and 9.999999999 beside 10, so that
    results that are equal within the tolerance fall into the same places.
    """
    if isinstance(item, bool) or item is None:
        return (0, str(item))
    if isinstance(item, int | float):
        return (1, _rounded(item)) if item == item else (2,)
    if isinstance(item, str):
        return (3, item)
    if isinstance(item, list):
        return (4, *map(_order_key, item))
    return (5, *((name, _order_key(item[name])) for name in sorted(item)))


def _rounded(number: float) -> float:
    """Return a number without the last digits of a float, in which equal results may differ: a
    list's second item must decide where its first ones are so equal."""
    exact = isinstance(number, int) or number.is_integer()
    return number if exact else float(f"{number:.9g}")
