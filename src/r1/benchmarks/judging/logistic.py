r"""Logistic regression with soft labels, by Newton's method.

    maximise  sum_n w_n [p_n log s_n + (1 - p_n) log(1 - s_n)] - ridge/2 |beta|²
              with s = sigma(X beta)

The log-likelihood is concave: each step solves (X' W X + ridge I) d = X' w (p - s) - ridge beta
with W = diag(w s (1 - s)), and is halved until the objective grows. Without an intercept: give a
column of ones. A soft label p_n is the row counted as 1 with weight p_n and as 0 with the rest.

Shapes: N rows, D columns.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MAX_STEPS = 100
TOLERANCE = 1e-12
"""Of the objective's growth, a row; then the fit has ended."""

Floats = npt.NDArray[np.float64]


def sigmoid(value: npt.ArrayLike) -> Floats:
    """1 / (1 + exp(-value)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(value, dtype=np.float64))))


def fit_logistic(
    x_ND: npt.ArrayLike,
    p_N: npt.ArrayLike,
    weight_N: npt.ArrayLike | None = None,
    ridge: float = 0.0,
) -> Floats:
    """Return the coefficients beta_D of the fit.

    p_N: labels in [0, 1]. weight_N: None: 1 each. ridge: of the penalty; with 0 rows that a plane
    separates have no finite fit, and the coefficients are those after MAX_STEPS steps.
    """
    x, p = np.asarray(x_ND, dtype=np.float64), np.asarray(p_N, dtype=np.float64)
    w = np.ones(len(p)) if weight_N is None else np.asarray(weight_N, dtype=np.float64)
    assert x.shape[0] == p.size == w.size
    assert ((p >= 0.0) & (p <= 1.0)).all()
    beta = np.zeros(x.shape[1])
    reached = _objective(x, p, w, ridge, beta)
    for _ in range(MAX_STEPS):
        s = sigmoid(x @ beta)
        slope = x.T @ (w * (p - s)) - ridge * beta
        curvature = (x.T * (w * s * (1.0 - s))) @ x + ridge * np.eye(beta.size)
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        size = 1.0
        while (found := _objective(x, p, w, ridge, beta + size * step)) < reached and size > 1e-10:
            size /= 2.0
        grown = found - reached
        if grown > 0.0:
            beta, reached = beta + size * step, found
        if grown <= TOLERANCE * w.sum():
            break
    return beta


def _objective(x: Floats, p: Floats, w: Floats, ridge: float, beta: Floats) -> float:
    """The penalised log-likelihood; log s = -log(1 + exp(-z)) without overflow."""
    z = x @ beta
    likelihood = -w @ (p * np.logaddexp(0.0, -z) + (1.0 - p) * np.logaddexp(0.0, z))
    return float(likelihood - 0.5 * ridge * beta @ beta)
