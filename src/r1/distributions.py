"""Student's t and the beta distribution: tail probabilities and quantiles, without scipy.

    P(|T| > t) = I_x(df / 2, 1 / 2),  x = df / (df + t^2)
    P(B <= x)  = I_x(a, b)

I is the regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun,
26.5.8 and 26.7.1; evaluated by the modified Lentz method). Quantiles invert it by bisection.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY, _EPSILON = 1e-300, 1e-15
_MAX_TERMS = 10_000
_BISECTIONS = 200


def two_sided_p(t: float, df: int) -> float:
    """Return P(|T| > |t|) for df degrees of freedom."""
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(df / (df + t * t), df / 2, 0.5)


@lru_cache(maxsize=1024)
def quantile(probability: float, df: int) -> float:
    """Return t with P(T <= t) = probability, for a probability from 0.5 up to below 1."""
    if not 0.5 <= probability < 1.0:
        raise ValueError(f"the probability must be in [0.5, 1), got {probability}")
    tail, low, high = 2 * (1 - probability), 0.0, 1.0
    while two_sided_p(high, df) > tail:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if two_sided_p(middle, df) > tail else (low, middle)
    return high


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return x with P(B <= x) = probability, for B of Beta(a, b); a and b are positive."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (
            (middle, high) if _incomplete_beta(middle, a, b) < probability else (low, middle)
        )
    return high


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # beyond it the fraction converges slowly
        return 1.0 - _incomplete_beta(1.0 - x, b, a)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta) / a
    return front * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    value, c, d = 1.0, 1.0, 0.0
    for term in range(_MAX_TERMS):
        m = term // 2
        if term == 0:
            numerator = 1.0
        elif term % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _not_zero(1.0 + numerator * d)
        c = _not_zero(1.0 + numerator / c)
        value *= c * d
        if abs(1.0 - c * d) < _EPSILON:
            break
    return value - 1.0


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
