"""Symbolic equality of two LaTeX expressions by their values, with limits on what sympy is asked.

Formulas are compared by their values (agreement.py), matrices entry by entry; math-verify decides
only if that does not (functions without a value, sets).


math-verify's own timeouts are off (see verifier.py): any function here may hang on an input that
`is_too_hard` does not foresee, so call it in a worker process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache
from typing import Any

from r1.rewards.math.agreement import Agreement, agree
from r1.rewards.math.decimals import may_be_rounded
from r1.rewards.math.evaluate import is_too_large, value_at
from r1.rewards.math.relations import compare_relations
from r1.rewards.math.text import group_end


class Sameness(Enum):
    """The result of comparing two values."""

    EQUAL = 1
    DIFFERENT = 2
    UNREADABLE = 3


# What may be asked of sympy ----------------------------------------------------------------------

_EXPONENT_TOKEN = re.compile(r"\^\s*[+-]?\s*(?P<token>\\[A-Za-z]+\s*|\d+|\w|(?=[{(]))")
_SMALL_POWER = re.compile(
    r"(?:(?:\\[a-z]+|[A-Za-z])\s*\^\s*(?P<open>\{)?\s*-?\w|(?<![\d.])\d\s*\^\s*\{?\s*(?:[1-3]|[A-Za-z]))"
    r"(?![\w^])(?(open)\s*\})"
)
"""A power that may stand in an exponent: x^2 or 2^n, as in e^{x^2}."""
_LITERAL = re.compile(r"\d+")
_EXPONENT = re.compile(r"\^\s*[\{(]?\s*[+-]?\s*(\d+)")
_BIG = re.compile(r"!\s*!|\\binom\s*\{\s*\d{4,}|\bfactorial\b|\bgamma\b|\\Gamma(?![a-z])")
_FACTORIAL = re.compile(r"(?P<operand>\d+|\([^()]*\)|\{[^{}]*\}|[)}\]])?\s*!")
_TERM = r"(?:\d{0,2}\s*\\?[A-Za-z]+(?:_\{?\w\}?)?|\d{1,2})"
_SMALL = re.compile(rf"[({{]?\s*[+-]?\s*{_TERM}(?:\s*[+-]\s*{_TERM}){{0,3}}\s*[)}}]?")
"""What may stand before a "!": such sums cannot become a large number."""
_HEAVY = re.compile(r"\\(int|lim|iint|oint|partial|frac\{d|bmod|gcd|lcm|det|sum|prod|lfloor|lceil"
                    r"|max|min)(?![a-z])")  # fmt: skip
_COMPUTABLE = frozenset({"sum", "prod", "lfloor", "lceil", "max", "min"})
"""Operators that a reference may hold; an answer only those that its reference holds."""
_MIXED = re.compile(r"(?<![\d.^_}])(\d+)\s*(\\frac\s*\{\s*\d+\s*\}\s*\{\s*\d+\s*\})")
_FACTOR = re.compile(r"(?<![\w^{])(\d+(?:\.\d+)?)\s*\(")
_SPACED = re.compile(r"(?<![_^\d])\d+\s+(?=\d)")
_DECIMAL = re.compile(r"[+-]?\s*\d*\.\d+")
_MATRIX_POWER = re.compile(r"matrix\s*\}[\s)\]}]*\^")
"""sympy multiplies matrices out while it reads them."""
MAX_LITERAL_DIGITS = 120
MAX_POWER = 5000
MAX_FACTORIAL = 2500
MAX_BRACKETS = 40
MAX_DEPTH = 8


def is_too_hard(text: str, gold: str = "") -> bool:
    """Whether evaluating the text could take for ever and the reference is nothing like it."""
    if set(_HEAVY.findall(text)) - (_COMPUTABLE & set(_HEAVY.findall(gold))):
        return True
    if any(is_hard(text) and not is_hard(gold) for is_hard in _HARD):
        return True
    allowed = {found["operand"] for found in _FACTORIAL.finditer(gold)}
    operands = [found["operand"] or "n" for found in _FACTORIAL.finditer(text)]
    if any(not _SMALL.fullmatch(each) and each not in allowed for each in operands):
        return True
    return _exceeds(text, gold)


def is_hard_reference(text: str) -> bool:
    """Whether a reference cannot be computed with; factorials and finite sums can."""
    if set(_HEAVY.findall(text)) - _COMPUTABLE or _is_tower(text) or _BIG.search(text):
        return True
    operands = [found["operand"] or "n" for found in _FACTORIAL.finditer(text)]
    if any(_is_large(operand) for operand in operands):
        return True
    return _exceeds(text, "!" * len(operands))


def _exponents(text: str) -> Iterator[tuple[str, bool]]:
    """Yield every exponent, and whether another one follows it directly, as in 9^9^9."""
    for found in _EXPONENT_TOKEN.finditer(text):
        end = found.end()
        is_token = bool(found["token"]) and not found["token"].startswith("\\")
        while not is_token and text[end : end + 1] in ("{", "("):
            closing = group_end(text, end)
            end = closing + 1 if closing >= 0 else len(text)
        yield text[found.start() + 1 : end], text[end:].lstrip().startswith("^")


def _is_tower(text: str) -> bool:
    """Whether exponents contain powers, 9^{9^9} or 9^9^9, except small ones as in e^{x^2}."""
    return any(
        is_followed or exponent.count("^") > len(_SMALL_POWER.findall(exponent))
        for exponent, is_followed in _exponents(text)
    )


_HARD: tuple[Callable[[str], object], ...] = (_is_tower, _BIG.search, _MATRIX_POWER.search)


def _is_large(operand: str) -> bool:
    """Whether a factorial is of more than a few thousand; symbols count as small."""
    if operand.isdigit():
        return len(operand) > 4 or int(operand) > MAX_FACTORIAL
    return "^" in operand or bool(re.search(r"\d{3}", operand))


def _exceeds(text: str, gold: str) -> bool:
    return any(
        count(text) > max(limit, count(gold))
        for count, limit in (
            (_longest_literal, MAX_LITERAL_DIGITS),
            (_largest_power, MAX_POWER),
            (_num_brackets, MAX_BRACKETS),
            (_depth, MAX_DEPTH),
            (lambda s: s.count("^"), 12),
            (lambda s: s.count("!"), 4),
            (lambda s: s.count("|"), 8),
        )
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


# Symbols -----------------------------------------------------------------------------------------


def compare_symbolic(gold: str, given: str, relational: bool = False) -> Sameness:
    """Compare two LaTeX expressions; relational: both are equations or inequalities. May hang."""
    if is_too_hard(given, gold) or is_hard_reference(gold):
        return Sameness.DIFFERENT
    left, right = parse_latex(gold), parse_latex(given)
    if right is None:
        return Sameness.UNREADABLE
    if left is None or _is_undefined(right):
        return Sameness.DIFFERENT
    if _names_functions(right) and not _names_functions(left):
        return Sameness.DIFFERENT  # \tan 15^\circ for 2-\sqrt{3}: the work is left undone
    if relational:
        same = compare_relations(left, right)
        if same is not None:
            return Sameness.EQUAL if same else Sameness.DIFFERENT
        return ask_math_verify(left, right)
    return _compare_formulas(left, right, is_plain=bool(_DECIMAL.fullmatch(given.strip())))


def _compare_formulas(left: Any, right: Any, is_plain: bool = False) -> Sameness:
    """is_plain: the answer is one decimal, of which six places are enough."""
    import sympy

    if isinstance(left, sympy.MatrixBase) and isinstance(right, sympy.MatrixBase):
        if left.shape != right.shape:
            return Sameness.DIFFERENT
        verdicts = [_compare_formulas(*pair) for pair in zip(left, right, strict=True)]
        return next((each for each in verdicts if each is not Sameness.EQUAL), Sameness.EQUAL)
    if isinstance(left, sympy.Expr) and isinstance(right, sympy.Expr):
        found = agree(left, right)
        if found is Agreement.EQUAL:
            return Sameness.EQUAL
        if found is Agreement.ROUNDED:  # 1.414214 may stand for what never ends
            rounded = is_plain or may_be_rounded(left, right)
            return Sameness.EQUAL if rounded else Sameness.DIFFERENT
        if found is Agreement.DIFFERENT or left.has(*_repeated()) or right.has(*_repeated()):
            return Sameness.DIFFERENT
    return ask_math_verify(left, right)


def is_same_up_to_constant(gold: str, given: str) -> bool:
    """Whether two formulas differ by a number, as two integrals of one function do."""
    import sympy

    left, right = _both(gold, given)
    if left is None or right is None or not left.free_symbols & right.free_symbols:
        return False
    gap = sympy.Add(left, sympy.Mul(-1, right, evaluate=False), evaluate=False)
    point = {name: sympy.Rational(7 + 2 * i, 5) for i, name in enumerate(gap.free_symbols)}
    here = gap.xreplace(point)
    return agree(gap, here) is Agreement.EQUAL


def is_same_family(gold: str, given: str, name: str) -> bool:
    """Whether a + bk and a' + b'k give the same numbers over all whole k, as 2k and 2 - 2k do."""
    import sympy

    left, right = _both(gold, given)
    if left is None or right is None:
        return False
    terms = []
    for side in (left, right):
        k = next((each for each in side.free_symbols if str(each) == name), None)
        if k is None:
            return False
        at = [side.xreplace({k: sympy.Integer(n)}) for n in range(3)]
        steps = [sympy.Add(at[n + 1], sympy.Mul(-1, at[n]), evaluate=False) for n in range(2)]
        if agree(*steps) is not Agreement.EQUAL or agree(steps[0], sympy.S.Zero) is Agreement.EQUAL:
            return False
        terms.append((at[0], steps[0]))
    (start, step), (other, other_step) = terms
    if all(agree(step, sign * other_step) is not Agreement.EQUAL for sign in (1, -1)):
        return False
    point = {each: sympy.Rational(7, 5) for each in start.free_symbols | step.free_symbols}
    count = ((other - start) / step).xreplace(point)
    number = count.evalf(15)
    if not number.is_real or abs(number) > MAX_POWER:
        return False
    return agree(other, start + sympy.Integer(round(float(number))) * step) is Agreement.EQUAL


def is_near(exact: str, rounded: str) -> bool:
    """Whether a number equals a formula's value to two figures."""
    left, right = _both(exact, rounded)
    found = [value_at(side, {}) if side is not None else None for side in (left, right)]
    if found[0] is None or found[1] is None:
        return False
    return bool(abs(found[0].value - found[1].value) <= abs(found[0].value) / 50)


def _both(gold: str, given: str) -> tuple[Any, Any]:
    """Return both formulas; None for one that is too hard, cannot be read or is no formula."""
    import sympy

    if is_too_hard(given, gold) or is_hard_reference(gold):
        return None, None
    found = [parse_latex(each) for each in (gold, given)]
    left, right = (each if isinstance(each, sympy.Expr) else None for each in found)
    return left, right


def _repeated() -> tuple[Any, ...]:
    import sympy

    return sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit


def ask_math_verify(left: Any, right: Any) -> Sameness:
    """Compare by simplification if there are no values; never with huge numbers."""
    from math_verify import verify

    if is_too_large(right):
        return Sameness.DIFFERENT
    equal = verify(left, right, float_rounding=6, timeout_seconds=None)
    return Sameness.EQUAL if equal else Sameness.DIFFERENT


_PARSED_AS = {"is_real": True, "convert_degrees": True, "normalization_config": None}


@lru_cache(maxsize=4096)
def parse_latex(latex: str) -> Any:
    """Return a sympy expression of the whole text, or None.

    latex2sympy is called without math-verify's own reading of answers, which drops what it takes
    for units ("2ab" becomes 2) and, where an equation cannot be read, keeps its last side.
    """
    import sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy

    # Whole numbers before a bracket would be read as mixed ones: 2(3) as 5.
    text = _MIXED.sub(r"(\1+\2)", latex)
    if _SPACED.search(text):  # two numbers side by side are not one, nor their sum
        return None
    text = _FACTOR.sub(r"\1 \\cdot (", text)
    config = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=False)
    try:
        found = latex2sympy(text, conversion_config=config, **_PARSED_AS)
    except MemoryError:
        raise
    except Exception:  # the grammar raises bare Exceptions for what it cannot read
        return None
    if not hasattr(found, "free_symbols"):
        return None
    imaginary = {name: sympy.I for name in found.free_symbols if str(name) == "i"}
    return found.xreplace(imaginary) if imaginary else found


def _names_functions(expression: Any) -> bool:
    """Whether sin, arctan, log or the like occur; their values may be left unevaluated."""
    import sympy
    from sympy.functions.elementary.hyperbolic import HyperbolicFunction, InverseHyperbolicFunction
    from sympy.functions.elementary.trigonometric import (
        InverseTrigonometricFunction,
        TrigonometricFunction,
    )

    return bool(
        expression.has(
            sympy.log,
            TrigonometricFunction,
            InverseTrigonometricFunction,
            HyperbolicFunction,
            InverseHyperbolicFunction,
        )
    )


def _is_undefined(expression: Any) -> bool:
    import sympy

    return bool(expression.has(sympy.nan, sympy.zoo))
