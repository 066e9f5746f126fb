"""Decide whether two formulas are equal by their values at a few points.

Simplification costs sympy 100 ms and more, and may not end; evaluating both sides takes 1 ms. The
smallest and the largest intermediate term determine the number of digits, so that 1 - e^{-50} is
not 1, and a difference is relative to its own size: no comparison becomes absolute near zero.

Symbols stand for real numbers, or positive ones if there are several; only points at which the
reference is real count. A reference that is real nowhere is compared by complex principal values.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from math import log10
from typing import Any

from r1.rewards.math.evaluate import DIGITS, MAX_DIGITS, Mode, TracedValue, context, value_at

_PROBES = (0.7390851332, 1.3247179572, 2.6651441427, 0.2613972128, 3.3598856662, 1.7632228343)
_WHOLE = ((5, 3, 2, 4, 7, 6), (6, 2, 4, 3, 5, 8), (7, 5, 3, 2, 8, 4), (4, 1, 2, 3, 6, 5))
_FAR = 1e-5
ROUNDING = 5.000001e-7
"""Half of the sixth decimal."""
FIGURES = 5e-5
"""A rounded value must also have five figures right: 0.0000005 is not 1/3000000."""
_GUARD_DIGITS = 12
_SIGNED = {"x", "y", "z", "u", "v"}
_NUM_AGREED = 2


class Agreement(Enum):
    """The comparison of two formulas' values at one point."""

    EQUAL = 1
    DIFFERENT = 2
    ROUNDED = 3
    NO_VALUE = 4


def agree(gold: Any, given: Any) -> Agreement:
    """Return EQUAL, DIFFERENT, ROUNDED (to six decimals), or NO_VALUE if values do not decide."""
    names = tuple(sorted(_names(gold) | _names(given)))
    if len(names) > len(_PROBES):
        return Agreement.NO_VALUE
    if not names:
        found = _at(gold, given, (), real=True)
        return _at(gold, given, (), real=False) if found is Agreement.NO_VALUE else found
    whole = _is_repeated(gold) or _is_repeated(given)
    real = [] if whole else _real_points(gold, given, names)
    tries = [(real, True)] * (not whole) + [(_whole_points(names), True)]
    tries += [(_complex_points(names), False)] * (not whole)
    for points, is_real in tries:
        verdict = _at_all(gold, given, points, is_real)
        if verdict is not Agreement.NO_VALUE:
            return verdict
    return Agreement.NO_VALUE


@lru_cache(maxsize=1024)
def _names(formula: Any) -> frozenset[str]:
    return frozenset(str(name) for name in formula.free_symbols)


def _at_all(gold: Any, given: Any, points: list[Any], real: bool) -> Agreement:
    found = []
    for point in points:
        verdict = _at(gold, given, point, real)
        if verdict is Agreement.DIFFERENT:
            return verdict
        if verdict is not Agreement.NO_VALUE:
            found.append(verdict)
    if len(found) < _NUM_AGREED:
        return Agreement.NO_VALUE
    return Agreement.ROUNDED if Agreement.ROUNDED in found else Agreement.EQUAL


@lru_cache(maxsize=1024)
def _is_repeated(formula: Any) -> bool:
    import sympy

    return bool(formula.has(sympy.Sum, sympy.Product))


def _real_points(gold: Any, given: Any, names: tuple[str, ...]) -> list[Any]:
    """Return positive points, small and large; and negative ones if the sign may matter."""
    import sympy

    points = [_point(names, shift, factor) for shift, factor in ((0, 1), (1, 1), (3, 0.25))]
    bars = gold.has(sympy.Abs) or given.has(sympy.Abs)
    if len(names) == 1 or _SIGNED.issuperset(names) or bars:
        points += [_point(names, 2, -1), _point(names, 0, -1)]
        if len(names) > 1 and (bars or _has_roots(gold) or _has_roots(given)):
            # |ab| is ab where both are negative, x sqrt(y) is sqrt(x^2 y) where x is not
            points += [_with_negative(points[0], place) for place in range(len(names))]
    return points


@lru_cache(maxsize=1024)
def _has_roots(formula: Any) -> bool:
    import sympy

    return any(not power.exp.is_integer for power in formula.atoms(sympy.Pow))


def _with_negative(point: Any, place: int) -> Any:
    return tuple((name, -at if i == place else at) for i, (name, at) in enumerate(point))


def _complex_points(names: tuple[str, ...]) -> list[Any]:
    return [_point(names, *each) for each in ((0, 1), (1, 1), (2, -1))]


@lru_cache(maxsize=256)
def _point(names: tuple[str, ...], shift: int, factor: float) -> tuple[tuple[str, float], ...]:
    return tuple(
        (name, factor * _PROBES[(place + shift) % len(_PROBES)]) for place, name in enumerate(names)
    )


def _whole_points(names: tuple[str, ...]) -> list[Any]:
    """Return whole numbers, for formulas defined only there: (-1)^n, finite sums."""
    return [tuple(zip(names, numbers, strict=False)) for numbers in _WHOLE]


def _at(gold: Any, given: Any, point: tuple[tuple[str, float], ...], real: bool) -> Agreement:
    digits = DIGITS
    while digits <= MAX_DIGITS:
        first = _evaluate(gold, point, digits, real)
        second = _evaluate(given, point, digits, real) if first is not None else None
        if first is None:
            return Agreement.NO_VALUE
        if second is None:
            return _undefined(gold, given, point, real)
        largest, smallest = (
            max(first.largest, second.largest),
            min(first.smallest, second.smallest),
        )
        mp = context(digits)
        gap, size = abs(first.value - second.value), max(abs(first.value), abs(second.value))
        noise = mp.mpf(2) ** largest * mp.mpf(10) ** (_GUARD_DIGITS - digits)
        if gap > noise and gap > _FAR * size and gap > ROUNDING:
            return Agreement.DIFFERENT
        needed = _digits_for(largest, smallest)
        if needed <= digits:
            return _classify(gap, size, noise)
        digits = needed
    return Agreement.NO_VALUE


def _classify(gap: Any, size: Any, noise: Any) -> Agreement:
    if gap <= noise:
        return Agreement.EQUAL
    close = gap <= ROUNDING and gap <= FIGURES * size
    return Agreement.ROUNDED if close else Agreement.DIFFERENT


def _digits_for(largest: int, smallest: int) -> int:
    """Return enough digits to tell the smallest intermediate term from 0 beside the largest."""
    span = max(largest, -smallest) * log10(2)
    wanted, digits = 30 + 2 * span, DIGITS
    while digits < wanted:
        digits *= 2
    return digits


def _undefined(gold: Any, given: Any, point: Any, real: bool) -> Agreement:
    """Return DIFFERENT if the reference has |x| and the point is negative: ln x is not ln|x|."""
    import sympy

    negative = any(value < 0 for _, value in point)
    wanted = real and negative and gold.has(sympy.Abs)
    return Agreement.DIFFERENT if wanted else Agreement.NO_VALUE


@lru_cache(maxsize=4096)
def _evaluate(
    formula: Any, point: tuple[tuple[str, float], ...], digits: int, real: bool
) -> TracedValue | None:
    return value_at(formula, dict(point), Mode(digits, real))
