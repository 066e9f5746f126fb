"""Symbolic equality of two LaTeX expressions by their values, with limits on what sympy is asked.

Formulas are compared by their values (agreement.py), matrices entry by entry; math-verify decides
only if that does not (functions without a value, sets).

math-verify's own timeouts are off (see verifier.py): any function here may hang on an input that
`is_too_hard` does not foresee, so call it in a worker process.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Any

from r1.rewards.math.agreement import Agreement, agree
from r1.rewards.math.decimals import may_be_rounded
from r1.rewards.math.difficulty import MAX_POWER, is_hard_reference, is_too_hard
from r1.rewards.math.evaluate import is_too_large, value_at
from r1.rewards.math.relations import compare_relations


class Sameness(Enum):
    """The result of comparing two values."""

    EQUAL = 1
    DIFFERENT = 2
    UNREADABLE = 3


# Symbols -----------------------------------------------------------------------------------------

_MIXED = re.compile(r"(?<![\d.^_}])(\d+)\s*(\\frac\s*\{\s*\d+\s*\}\s*\{\s*\d+\s*\})")
_FACTOR = re.compile(r"(?<![\w^{])(\d+(?:\.\d+)?)\s*\(")
_SPACED = re.compile(r"(?<![_^\d])\d+\s+(?=\d)")
_MISREAD = re.compile(
    r"(?P<gamma>\\gamma(?![a-z]))|\\[A-Za-z]+|(?P<letter>[A-Za-z])(?:_\{?(?P<index>\w)\}?)?\s*"
    r"(?:(?P<primes>'+)|\^\s*\{?\s*(?P<written>(?:\\prime\s*)+)\}?"
    r"|(?<=[A-Z])\^\s*(?P<top>T(?![A-Za-z])|\\top|\{\s*(?:T|\\top)\s*\}))"
)
"""What the grammar takes for something else: \\gamma+1 would be the gamma function at +1, x' would
be x, and A^T A."""
_DECIMAL = re.compile(r"[+-]?\s*\d*\.\d+")


def compare_symbolic(gold: str, given: str, relational: bool = False) -> Sameness:
    """Compare two LaTeX expressions; relational: both are equations or inequalities. May hang."""
    if is_too_hard(given, gold) or is_hard_reference(gold):
        return Sameness.DIFFERENT
    left, right = parse_latex(gold), parse_latex(given)
    if right is None:
        return Sameness.UNREADABLE
    if left is None or _is_undefined(given) or (_is_infinite(given) and not _is_infinite(gold)):
        return Sameness.DIFFERENT
    if _names_functions(given) and not _names_functions(gold):
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
        if _are_same_series(left, right):
            return Sameness.EQUAL
        if found is Agreement.DIFFERENT or left.has(*_repeated()) or right.has(*_repeated()):
            return Sameness.DIFFERENT
        if not left.free_symbols | right.free_symbols and value_at(left, {}) is not None:
            return Sameness.DIFFERENT  # a number is not what has no value: 1/(1-1), ln 0
    return ask_math_verify(left, right)


def _are_same_series(left: Any, right: Any) -> bool:
    """Whether two sums or products over one range have equal terms, whatever their index is called:
    an infinite one has no value here."""
    import sympy

    if type(left) is not type(right) or not isinstance(left, sympy.Sum | sympy.Product):
        return False
    (body, (index, *ends), *rest), (other, (name, *other_ends), *more) = left.args, right.args
    if ends != other_ends or rest or more or (index != name and index in other.free_symbols):
        return False
    return agree(body, other.xreplace({name: index})) is Agreement.EQUAL


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
    text = _MISREAD.sub(_as_symbol, text)
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


def _as_symbol(found: re.Match[str]) -> str:
    r"""Return a symbol of its own for \gamma, x', A^T; other commands as they are."""
    if found["gamma"]:
        return "\\upsilon "
    if not found["letter"]:
        return found[0]
    primes = len(found["primes"] or "") + (found["written"] or "").count("prime")
    return f"{found['letter']}_{{{found['index'] or ''}{'p' * primes or 'T'}}}"


@lru_cache(maxsize=1024)
def _names_functions(latex: str) -> bool:
    """Whether sin, arctan, log or the like occur; their values may be left unevaluated."""
    import sympy
    from sympy.functions.elementary.hyperbolic import HyperbolicFunction, InverseHyperbolicFunction
    from sympy.functions.elementary.trigonometric import (
        InverseTrigonometricFunction,
        TrigonometricFunction,
    )

    return bool(
        parse_latex(latex).has(
            sympy.log,
            TrigonometricFunction,
            InverseTrigonometricFunction,
            HyperbolicFunction,
            InverseHyperbolicFunction,
        )
    )


@lru_cache(maxsize=1024)
def _is_infinite(latex: str) -> bool:
    """Whether infinity occurs: simplified, sqrt(2) - 9 * 9^oo is no number that differs from 0."""
    import sympy

    return bool(parse_latex(latex).has(sympy.oo, sympy.S.NegativeInfinity))


@lru_cache(maxsize=1024)
def _is_undefined(latex: str) -> bool:
    import sympy

    return bool(parse_latex(latex).has(sympy.nan, sympy.zoo))
