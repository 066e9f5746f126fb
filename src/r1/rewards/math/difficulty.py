"""What sympy may be asked: limits on numbers, powers, factorials, brackets and operators of a text.

Pure text, linear in it: nothing is read or computed before a text has passed. An answer may be as
hard as its reference is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from r1.rewards.math.text import group_end

_EXPONENT_TOKEN = re.compile(r"\^\s*[+-]?\s*(?P<token>\\[A-Za-z]+\s*|\d+|\w|(?=[{(]))")
_SMALL_POWER = re.compile(
    r"(?:(?:\\[a-z]+|[A-Za-z])\s*\^\s*(?P<open>\{)?\s*-?\w|(?<![\d.])\d\s*\^\s*\{?\s*(?:[1-3]|[A-Za-z]))"
    r"(?![\w^])(?(open)\s*\})"
)
"""A power that may stand in an exponent: x^2 or 2^n, as in e^{x^2}."""
_LITERAL = re.compile(r"\d+")
_EXPONENT = re.compile(r"\^\s*[\{(]?\s*[+-]?\s*(\d+)")
_BIG = re.compile(r"!\s*!|\\binom\s*\{\s*\d{4,}|\bfactorial\b|(?<!\\)\bgamma\b|\\Gamma(?![a-z])")
_FACTORIAL = re.compile(r"(?P<operand>\d+|\([^()]*\)|\{[^{}]*\}|[)}\]])?\s*!")
_TERM = r"(?:\d{0,2}\s*\\?[A-Za-z]+(?:_\{?\w\}?)?|\d{1,2})"
_SMALL = re.compile(rf"[({{]?\s*[+-]?\s*{_TERM}(?:\s*[+-]\s*{_TERM}){{0,3}}\s*[)}}]?")
"""What may stand before a "!": such sums cannot become a large number."""
_HEAVY = re.compile(r"\\(int|lim|iint|oint|partial|frac\{d|bmod|gcd|lcm|det|sum|prod|lfloor|lceil"
                    r"|max|min)(?![a-z])")  # fmt: skip
_COMPUTABLE = frozenset({"sum", "prod", "lfloor", "lceil", "max", "min"})
"""Operators that a reference may hold; an answer only those that its reference holds."""
_MATRIX_POWER = re.compile(r"matrix\s*\}[\s)\]}]*\^")
"""sympy multiplies matrices out while it reads them."""
MAX_LITERAL_DIGITS = 120
MAX_POWER = 5000
MAX_FACTORIAL = 2500
MAX_BRACKETS = 40
MAX_DEPTH = 8


class _Difficulty(NamedTuple):
    """What a text asks of sympy, kept a text: in a vote each is compared with many others."""

    operators: frozenset[str]
    is_tower: bool
    is_big: bool
    has_matrix_power: bool
    operands: tuple[str, ...]
    """What stands before each "!"; "n" for nothing."""
    counts: tuple[int, ...]
    """Beside _LIMITS."""


@lru_cache(maxsize=1024)
def _difficulty(text: str) -> _Difficulty:
    return _Difficulty(
        operators=frozenset(_HEAVY.findall(text)),
        is_tower=_is_tower(text),
        is_big=bool(_BIG.search(text)),
        has_matrix_power=bool(_MATRIX_POWER.search(text)),
        operands=tuple(found["operand"] or "n" for found in _FACTORIAL.finditer(text)),
        counts=tuple(count(text) for count, _ in _LIMITS),
    )


def is_too_hard(text: str, gold: str = "") -> bool:
    """Whether evaluating the text could take for ever and the reference is nothing like it."""
    given, allowed = _difficulty(text), _difficulty(gold)
    if given.operators - (_COMPUTABLE & allowed.operators):
        return True
    if (
        given.is_tower > allowed.is_tower
        or given.is_big > allowed.is_big
        or given.has_matrix_power > allowed.has_matrix_power
    ):
        return True
    if any(not _SMALL.fullmatch(each) and each not in allowed.operands for each in given.operands):
        return True
    return _exceeds(given.counts, allowed.counts)


@lru_cache(maxsize=1024)
def is_hard_reference(text: str) -> bool:
    """Whether a reference cannot be computed with; factorials and finite sums can."""
    found = _difficulty(text)
    if found.operators - _COMPUTABLE or found.is_tower or found.is_big:
        return True
    if any(_is_large(operand) for operand in found.operands):
        return True
    return _exceeds(found.counts, _difficulty("!" * len(found.operands)).counts)


def _exponents(text: str) -> Iterator[tuple[str, bool]]:
    """Yield every exponent, and whether another one follows it directly, as in 9^9^9."""
    for found in _EXPONENT_TOKEN.finditer(text):
        end = found.end()
        is_command = bool(found["token"]) and found["token"].startswith("\\")
        # One group: ^{2}(x+1)^3 is a product of powers. \frac{1}{2} has two.
        openings = ("{", "{") if is_command else () if found["token"] else ("{(",)
        for opening in openings:
            if end < len(text) and text[end] in opening:
                closing = group_end(text, end)
                end = closing + 1 if closing >= 0 else len(text)
        yield text[found.start() + 1 : end], text[end:].lstrip().startswith("^")


def _is_tower(text: str) -> bool:
    """Whether exponents contain powers, 9^{9^9} or 9^9^9, except small ones as in e^{x^2}."""
    return any(
        is_followed or exponent.count("^") > len(_SMALL_POWER.findall(exponent))
        for exponent, is_followed in _exponents(text)
    )


def _is_large(operand: str) -> bool:
    """Whether a factorial is of more than a few thousand; symbols count as small."""
    if operand.isdigit():
        return len(operand) > 4 or int(operand) > MAX_FACTORIAL
    return "^" in operand or bool(re.search(r"\d{3}", operand))


def _exceeds(counts: tuple[int, ...], allowed: tuple[int, ...]) -> bool:
    return any(
        count > limit and count > gold
        for count, gold, (_, limit) in zip(counts, allowed, _LIMITS, strict=True)
    )


def _longest_literal(text: str) -> int:
    return max((len(found) for found in _LITERAL.findall(text)), default=0)


def _largest_power(text: str) -> int:
    return max((int(found.lstrip("0")[:9] or 0) for found in _EXPONENT.findall(text)), default=0)


def _depth(text: str) -> int:
    """Return the nesting depth of brackets; each level doubles the grammar's time."""
    depth = deepest = 0
    for symbol in text:
        depth += (symbol in "([") - (symbol in ")]")
        deepest = max(deepest, depth)
    return deepest


def _num_brackets(text: str) -> int:
    return sum(text.count(symbol) for symbol in "([{")


_LIMITS: tuple[tuple[Callable[[str], int], int], ...] = (
    (_longest_literal, MAX_LITERAL_DIGITS),
    (_largest_power, MAX_POWER),
    (_num_brackets, MAX_BRACKETS),
    (_depth, MAX_DEPTH),
    (lambda s: s.count("^"), 12),
    (lambda s: s.count("!"), 4),
    (lambda s: s.count("|"), 8),
)
"""What is counted in a text, and how many are allowed where the reference has no more."""
