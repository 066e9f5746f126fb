r"""AlpacaEval's length-controlled win rate (Dubois et al. 2024, arXiv 2404.04475).

    logit p = phi tanh(delta / sd(delta)) + psi gamma + theta
    LC      = mean over all instructions of sigma(psi gamma + theta)        the length term set to 0

p: the judge's preference for the model. delta: the baseline's length minus the model's, in
characters of what the judge saw; its sd (n - 1) is of the model's own rows. gamma: the difficulty
of an instruction, fixed, published. theta, phi, psi: of the model.

The fit here is that of the model's own rows, with a slight ridge, so that a few questions have one
too. Left out: the published fit's 1,610 rows of two "gamed" copies of the baseline (a tenth of the
weight each), which are not to be had, and its L1 penalty chosen by cross-validation, which without
them has nothing to choose. Of 17 ordinary models a refit is within 2.5 points of the published
figure; models made to fool the judge may be farther off (tests/test_benchmarks_alpaca.py).

Shapes: N rows, I instructions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from r1.benchmarks.judging.logistic import Floats, fit_logistic, sigmoid

MIN_QUESTIONS = 100
"""With fewer the rate says too little. Of N rows drawn from an ordinary model's 805 it differs from
that of all rows by 10 points or more in 38 of 100 draws at N = 10, 13 at 50, 4 at 100, 0.4 at 200;
its standard error is twice that of the plain win rate, 20, 8, 4 and 3 points (18 models, 30 draws
each: tests/test_benchmarks_alpaca.py)."""
RIDGE = 1e-4
"""Of the penalty, a row: moves the figure of an ordinary model by less than 0.2 points."""


class LengthControl(NamedTuple):
    """Coefficients of the model: length (phi), difficulty (psi), the model's own (theta)."""

    length: float
    difficulty: float
    own: float

    def win_rate(self, difficulty_I: npt.ArrayLike, weight_I: npt.ArrayLike | None = None) -> float:
        """The win rate in [0, 1] against answers of equal length. weight_I: None: 1 each."""
        rate_I = sigmoid(self.own + self.difficulty * np.asarray(difficulty_I))
        return float(np.average(rate_I, weights=None if weight_I is None else np.asarray(weight_I)))


def length_term(baseline_N: npt.ArrayLike, model_N: npt.ArrayLike) -> Floats:
    """tanh(delta / sd(delta)) of lengths in characters; 0 where all differences are equal."""
    delta = np.asarray(baseline_N, dtype=np.float64) - np.asarray(model_N, dtype=np.float64)
    spread = delta.std(ddof=1) if delta.size > 1 else 0.0
    return np.zeros_like(delta) if spread == 0.0 else np.tanh(delta / spread)


def fit_length_control(
    length_N: npt.ArrayLike,
    difficulty_N: npt.ArrayLike,
    preference_N: npt.ArrayLike,
    weight_N: npt.ArrayLike | None = None,
) -> LengthControl:
    """Fit a model's coefficients. length_N: `length_term`; preference_N: in [0, 1], for the
    model; weight_N: how often a row counts."""
    length = np.asarray(length_N, dtype=np.float64)
    x_ND = np.stack([length, np.asarray(difficulty_N), np.ones_like(length)], axis=1)
    ridge = RIDGE * len(length)
    return LengthControl(*map(float, fit_logistic(x_ND, preference_N, weight_N, ridge)))
