r"""What the decimals of a formula leave open: each stands for what is nearer than its last place.

1.414214 may stand for \sqrt{2}, x+0.333333 for x+1/3; \sqrt{2.0000001} and
1.0000001\sqrt{2} are other numbers, however near. Decimals of fewer than five figures are exact.

Left out: decimals that sympy computes with while it reads them, as in e^{0.333333}; of those the
computed digits count.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from r1.rewards.math.evaluate import value_at

MIN_FIGURES = 5
_POINTS = ((0.7390851332, 1.3247179572, 2.6651441427, 0.2613972128), (5, 3, 2, 4))
_STRICTLY = 1 - 1e-9


def may_be_rounded(first: Any, second: Any) -> bool:
    """Whether two formulas differ by less than moving their decimals by one last place does."""
    names = sorted({str(name) for each in (first, second) for name in each.free_symbols})
    for probes in _POINTS:
        point = {name: probes[i % len(probes)] for i, name in enumerate(names)}
        values = [value_at(each, point) for each in (first, second)]
        if values[0] is not None and values[1] is not None:
            gap = abs(values[0].value - values[1].value)
            slack = sum(_slack(each, point) for each in (first, second))
            return bool(gap < slack * _STRICTLY)
    return False


def _slack(formula: Any, point: dict[str, Any]) -> Any:
    """By how much the value may change when each decimal moves by a unit of its last place."""
    import sympy

    total: Any = 0
    for decimal in formula.atoms(sympy.Float):
        _, digits, exponent = Decimal(str(decimal)).normalize().as_tuple()
        if len(digits) < MIN_FIGURES or not isinstance(exponent, int):
            continue
        moved = formula.xreplace({decimal: sympy.Symbol("moved")})
        here, unit = Decimal(str(decimal)), Decimal(1).scaleb(exponent)
        found = [value_at(moved, {**point, "moved": str(here + k * unit)}) for k in (0, 1, -1)]
        if found[0] is not None:
            steps = [abs(each.value - found[0].value) for each in found[1:] if each is not None]
            total += min(steps, default=0)
    return total
