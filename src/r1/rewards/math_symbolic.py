"""Symbolic equality of two LaTeX expressions, by math-verify, and what sympy is never asked.

math-verify's own timeouts are off (see math.py): whatever is called here may hang on an input that
`is_too_hard` does not foresee, and belongs in a worker process.
"""

from __future__ import annotations

import cmath
import logging
import re
from enum import Enum
from functools import lru_cache
from typing import Any


class Verdict(Enum):
    """What comparing two values found."""

    EQUAL = 1
    DIFFERENT = 2
    UNREADABLE = 3


# What may be asked of sympy ----------------------------------------------------------------------

_TOWER = re.compile(r"\^\s*\{[^{}]*\^|\^\s*\(?[^\s{}()+*/,-]{1,12}\s*\^|\}\s*\^\s*\{?[^{}]*\^")
_LITERAL = re.compile(r"\d+")
_EXPONENT = re.compile(r"\^\s*[\{(]?\s*[+-]?\s*(\d+)")
_BIG = re.compile(r"(\d{3,}|\))\s*!|!\s*!|\\binom\s*\{\s*\d{4,}|\bfactorial\b|\bgamma\b")
_HEAVY = re.compile(r"\\(?:int|sum|prod|lim|iint|oint|partial|frac\{d|lfloor|lceil|bmod|gcd|lcm"
                    r"|max|min|det)(?![a-z])")  # fmt: skip
MAX_LITERAL_DIGITS = 120
MAX_POWER = 5000
MAX_BRACKETS = 40


def is_too_hard(text: str, gold: str = "") -> bool:
    """True where evaluating the text could take for ever and the reference is nothing like it."""
    if _TOWER.search(text) and not _TOWER.search(gold):
        return True
    if _HEAVY.search(text) and not _HEAVY.search(gold):
        return True
    if _BIG.search(text) and not _BIG.search(gold):
        return True
    return any(
        count(text) > max(limit, count(gold))
        for count, limit in (
            (_longest_literal, MAX_LITERAL_DIGITS),
            (_largest_power, MAX_POWER),
            (_num_brackets, MAX_BRACKETS),
            (lambda s: s.count("^"), 12),
            (lambda s: s.count("!"), 2),
        )
    )


def _longest_literal(text: str) -> int:
    return max((len(found) for found in _LITERAL.findall(text)), default=0)


def _largest_power(text: str) -> int:
    return max((int(found[:9]) for found in _EXPONENT.findall(text)), default=0)


def _num_brackets(text: str) -> int:
    return sum(text.count(symbol) for symbol in "([{")


# Symbols -----------------------------------------------------------------------------------------


def compare_symbolic(gold: str, given: str, relational: bool = False) -> Verdict:
    """Compare two LaTeX expressions; relational: both are equations or inequalities. May hang."""
    if is_too_hard(given, gold) or is_too_hard(gold, given):
        return Verdict.DIFFERENT
    left, right = parse_latex(gold), parse_latex(given)
    if right is None:
        return Verdict.UNREADABLE
    if left is None or _is_undefined(right):
        return Verdict.DIFFERENT
    if relational and left.free_symbols != right.free_symbols:
        return Verdict.DIFFERENT
    if not relational and _differ_numerically(left, right):
        return Verdict.DIFFERENT
    from math_verify import verify

    equal = verify(left, right, float_rounding=6, timeout_seconds=None)
    return Verdict.EQUAL if equal else Verdict.DIFFERENT


_PROBES = (0.7390851332, 1.3247179572, 2.6651441427, 0.2613972128, 3.3598856662)
_TOLERANCE = 1e-5


def _differ_numerically(left: Any, right: Any) -> bool:
    """True where two formulas of the same symbols are clearly unequal at one point.

    Proving inequality by simplification costs sympy 100 ms, evaluating both sides 1 ms.
    """
    import sympy

    if not (isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr)):
        return False
    names = sorted({str(symbol) for symbol in left.free_symbols | right.free_symbols})
    if len(names) > len(_PROBES) or any(len(name) > 1 or name in "eEiI" for name in names):
        return False
    first, second = (_evaluate(side, tuple(names)) for side in (left, right))
    if first is None or second is None:
        return False
    return abs(first - second) > _TOLERANCE * max(1.0, abs(first), abs(second))


@lru_cache(maxsize=4096)
def _evaluate(expression: Any, names: tuple[str, ...]) -> complex | None:
    """The value of a formula at the probe point, or None where it is not a finite number."""
    point = {symbol: _PROBES[names.index(str(symbol))] for symbol in expression.free_symbols}
    try:
        value = complex(expression.evalf(12, subs=point))
    except (TypeError, ValueError, ArithmeticError, AttributeError):
        return None
    return value if cmath.isfinite(value) else None


@lru_cache(maxsize=4096)
def parse_latex(latex: str) -> Any:
    """A sympy expression of the whole text, or None."""
    from math_verify import LatexExtractionConfig, parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    found = parse(
        f"${latex}$",
        extraction_config=[LatexExtractionConfig(boxed_match_priority=-1)],
        fallback_mode="no_fallback",
        parsing_timeout=None,
    )
    return found[0] if found and not isinstance(found[0], str) else None


def _is_undefined(expression: Any) -> bool:
    import sympy

    return bool(expression.has(sympy.nan, sympy.zoo))
