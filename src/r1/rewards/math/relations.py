"""Equality of two equations or inequalities in the same symbols, each up to a constant factor."""

from __future__ import annotations

from typing import Any

from r1.rewards.math.agreement import Agreement, agree
from r1.rewards.math.decimals import may_be_rounded

_POINT = (13, 7, 11, 5, 17, 3)
"""Where the factor between two formulas is read off; tenths of these."""


def compare_relations(left: Any, right: Any) -> bool | None:
    """Whether two relations are equivalent; None if values cannot decide.

    2x + y = 3 is 4x + 2y = 6; an inequality may only be multiplied by what is positive.
    """
    import sympy

    if not all(isinstance(side, sympy.core.relational.Relational) for side in (left, right)):
        return None if left.free_symbols and left.free_symbols == right.free_symbols else False
    if left.free_symbols != right.free_symbols or not left.free_symbols:
        return False
    (kind, first), (other, second) = _as_difference(left), _as_difference(right)
    if kind != other:
        return False
    if kind in ("=", "!=") and (verdict := _same_polynomial(first, second)) is not None:
        return verdict
    return _same_up_to_factor(first, second, kind in ("<", "<="))


def _as_difference(relation: Any) -> tuple[str, Any]:
    """Return the relation as f = 0, f != 0, f < 0 or f <= 0."""
    import sympy

    kind, sign = {
        sympy.Eq: ("=", 1), sympy.Ne: ("!=", 1), sympy.StrictLessThan: ("<", 1),
        sympy.LessThan: ("<=", 1), sympy.StrictGreaterThan: ("<", -1),
        sympy.GreaterThan: ("<=", -1),
    }[type(relation)]  # fmt: skip
    return kind, sign * (sympy.sympify(relation.lhs) - sympy.sympify(relation.rhs))


def _same_polynomial(first: Any, second: Any) -> bool | None:
    """Whether the numerators are one polynomial up to a factor; None if sympy cannot tell."""
    import sympy

    names = sorted(first.free_symbols | second.free_symbols, key=str)
    try:
        polynomials = [
            sympy.Poly(sympy.numer(sympy.together(side)), *names) for side in (first, second)
        ]
    except sympy.PolynomialError:
        return None
    if any(each.is_zero for each in polynomials):
        return False
    monic = [
        each.monic() if each.domain.is_Field else each.to_field().monic() for each in polynomials
    ]
    if monic[0] == monic[1]:
        return True
    if all(each.domain.is_ZZ or each.domain.is_QQ for each in polynomials):
        return False
    terms = [dict(each.terms()) for each in monic]
    if terms[0].keys() != terms[1].keys():
        return None  # a coefficient may be zero without sympy seeing it
    leads = [sympy.sympify(each.LC()) for each in polynomials]
    written = [dict(each.terms()) for each in polynomials]
    return all(
        _same_coefficient(
            *(_ratio(side[key], lead) for side, lead in zip(written, leads, strict=True))
        )
        for key in terms[0]
    )


def _ratio(coefficient: Any, lead: Any) -> Any:
    """The quotient, not computed: it keeps the decimals as they were written."""
    import sympy

    inverse = sympy.Pow(lead, -1, evaluate=False)
    return sympy.Mul(sympy.sympify(coefficient), inverse, evaluate=False)


def _same_coefficient(gold: Any, given: Any) -> bool:
    found = agree(gold, given)
    rounded = found is Agreement.ROUNDED and may_be_rounded(gold, given)
    return found is Agreement.EQUAL or rounded


def _same_up_to_factor(first: Any, second: Any, positive: bool) -> bool | None:
    import sympy

    names = sorted(first.free_symbols | second.free_symbols, key=str)
    point = dict(zip(names, (sympy.Rational(n, 10) for n in _POINT), strict=False))
    here = [side.xreplace(point) for side in (first, second)]
    numbers = [complex(value.evalf(15)) if value.is_number else 0j for value in here]
    if any(abs(number) == 0 or number.imag for number in numbers):
        return None
    if positive and numbers[0].real * numbers[1].real < 0:
        return False
    crossed = [
        sympy.Mul(side, value, evaluate=False)
        for side, value in ((first, here[1]), (second, here[0]))
    ]
    found = agree(*crossed)
    return None if found is Agreement.NO_VALUE else found is Agreement.EQUAL
