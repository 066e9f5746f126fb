"""The value of a sympy formula at a point, to any number of digits, in time linear in the formula.

sympy's own `evalf` raises its precision until it is sure, which on nested fractions and towers
never ends; simplification is worse. Here every node is computed once, in mpmath, and a value that
is too large is given up. Finite sums and products are added up term by term.

Left out on purpose: integrals, infinite sums, limits, derivatives, matrices. They have no value
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

DIGITS = 50
MAX_DIGITS = 12_000
MAX_EXPONENT = 10**6
MAX_ANGLE = 10**12
MAX_BITS = 40_000
"""Of a number that sympy is given to simplify."""
MAX_TERMS = (200, 40)
"""Of a sum, and of a sum inside it; deeper ones have no value."""
_FUNCTIONS = {
    "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot",
    "sec": "sec", "csc": "csc", "asin": "asin", "acos": "acos", "atan": "atan", "acot": "acot",
    "asec": "asec", "acsc": "acsc", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "Abs": "fabs", "factorial": "factorial",
    "gamma": "gamma", "binomial": "binomial", "floor": "floor", "ceiling": "ceil",
    "conjugate": "conj", "re": "re", "im": "im",
}  # fmt: skip
"""sympy's names of functions and mpmath's."""
_REPEATED = ("Sum", "Product")


class NoValueError(ArithmeticError):
    """The formula has no value at this point, or one too large to compute."""


class TooLargeError(NoValueError):
    """An intermediate number is too large to compute with."""


class TracedValue(NamedTuple):
    """A value, and the binary exponents of the largest and smallest intermediate values."""

    value: Any
    largest: int
    smallest: int


class Mode(NamedTuple):
    """How a formula is computed. real: the odd root of a negative number is real, and a formula
    with a part that is not real has no value; otherwise every function has its principal value."""

    digits: int = DIGITS
    real: bool = False
    depth: int = 0


_PLAIN = Mode()


def value_at(formula: Any, point: Mapping[str, Any], mode: Mode = _PLAIN) -> TracedValue | None:
    """Return a formula's value (mpf or mpc) at its symbols' values, or None."""
    values: dict[Any, Any] = {}
    mp = context(mode.digits)
    largest = smallest = 0
    try:
        for node in _postorder(formula):
            if node in values:
                continue
            value = values[node] = _node_value(node, values, point, mode)
            if not mp.isfinite(value):
                return None
            if mode.real and not mp.isint(value) and mp.im(value) != 0:
                return None
            if value != 0:
                exponent = mp.mag(value)
                largest, smallest = max(largest, exponent), min(smallest, exponent)
        return TracedValue(values[formula], int(largest), int(smallest))
    except (ArithmeticError, ValueError, TypeError, KeyError):
        return None


def is_too_large(formula: Any) -> bool:
    """Whether a number in a formula could keep sympy busy without end; symbols count as 3."""
    import sympy

    if isinstance(formula, sympy.MatrixBase):
        return any(is_too_large(entry) for entry in formula)
    if not isinstance(formula, sympy.Basic):
        return False
    values: dict[Any, Any] = {}
    point = {str(name): 3 for name in formula.free_symbols}
    mp = context(DIGITS)
    for node in _postorder(formula):
        try:
            values[node] = _node_value(node, values, point, _PLAIN)
            if mp.mag(values[node]) > MAX_BITS:
                return True
        except TooLargeError:
            return True
        except (ArithmeticError, AttributeError, ValueError, TypeError, KeyError):
            continue  # no value, but perhaps something large beside it
    return False


@cache
def context(digits: int) -> Any:
    """Return mpmath at a number of digits; values of different contexts must not be mixed."""
    import mpmath

    found = mpmath.mp.clone()
    found.dps = digits
    return found


def _postorder(formula: Any) -> list[Any]:
    """Yield every node after its arguments, without recursion; a sum is one node."""
    order, waiting = [], [formula]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if type(node).__name__ not in _REPEATED:
            waiting.extend(node.args)
    return order[::-1]


def _node_value(node: Any, values: Mapping[Any, Any], point: Mapping[str, Any], mode: Mode) -> Any:
    mp = context(mode.digits)
    if node.is_Symbol:
        return mp.mpf(point[str(node)])
    if node.is_Rational:
        return mp.mpf(int(node.p)) / int(node.q)
    if node.is_Float:
        return mp.mpf(str(node))
    if not node.args:
        return _constant(str(node), mode.digits)
    name = type(node).__name__
    if name in _REPEATED:
        return _repeated(node, name, point, mode)
    arguments = [values[argument] for argument in node.args]
    if node.is_Add:
        return mp.fsum(arguments)
    if node.is_Mul:
        return mp.fprod(arguments)
    if node.is_Pow:
        return _power(arguments[0], arguments[1], mode)
    return _apply(name, arguments, mode)


def _constant(name: str, digits: int) -> Any:
    mp = context(digits)
    return {"pi": lambda: +mp.pi, "E": lambda: +mp.e, "I": lambda: mp.mpc(0, 1),
            "GoldenRatio": lambda: +mp.phi, "EulerGamma": lambda: +mp.euler}[name]()  # fmt: skip


def _repeated(node: Any, name: str, point: Mapping[str, Any], mode: Mode) -> Any:
    """Compute a sum or product over one index between whole numbers, term by term."""
    mp = context(mode.digits)
    body, (index, *ends) = node.args[0], node.args[1]
    if len(node.args) != 2 or len(ends) != 2 or mode.depth >= len(MAX_TERMS):
        raise NoValueError
    found = [value_at(end, point, mode) for end in ends]
    if any(end is None or not mp.isint(end.value) for end in found):
        raise NoValueError
    low, high = (int(mp.re(end.value)) for end in found if end is not None)
    if high - low >= MAX_TERMS[mode.depth]:
        raise NoValueError
    inner = mode._replace(depth=mode.depth + 1)
    terms = [value_at(body, {**point, str(index): k}, inner) for k in range(low, high + 1)]
    if any(term is None for term in terms):
        raise NoValueError
    numbers = [term.value for term in terms if term is not None]
    return mp.fsum(numbers) if name == "Sum" else mp.fprod(numbers)


def _power(base: Any, exponent: Any, mode: Mode) -> Any:
    mp = context(mode.digits)
    if abs(exponent) > MAX_EXPONENT:
        raise TooLargeError
    if base == 0 and mp.re(exponent) <= 0:
        raise NoValueError
    if mode.real and mp.im(base) == 0 and mp.re(base) < 0 and not mp.isint(exponent):
        return _real_root(base, exponent, mode)
    return mp.power(base, exponent)


def _real_root(base: Any, exponent: Any, mode: Mode) -> Any:
    """Return a negative number to p/q for an odd q, as taught in school: (-8)^(1/3) is -2."""
    mp = context(mode.digits)
    ratio = Fraction(float(exponent)).limit_denominator(99)
    near = mp.mpf(ratio.numerator) / ratio.denominator
    if ratio.denominator % 2 == 0 or abs(near - exponent) > mp.mpf(10) ** (5 - mode.digits):
        raise NoValueError
    size = mp.power(-base, exponent)
    return -size if ratio.numerator % 2 else size


def _apply(name: str, arguments: list[Any], mode: Mode) -> Any:
    mp = context(mode.digits)
    if name in ("Max", "Min"):
        return (max if name == "Max" else min)(arguments)
    if any(abs(argument) > MAX_ANGLE for argument in arguments) and name not in ("log", "Abs"):
        raise TooLargeError
    if name in ("exp", "factorial", "gamma") and abs(arguments[0]) > MAX_EXPONENT:
        raise TooLargeError
    function: Callable[..., Any] = getattr(mp, _FUNCTIONS[name])
    return function(*arguments)
