r"""Bradley-Terry ratings of players by battles, as Arena-Hard has them (arXiv 2406.11939).

    P(i beats j) = 1 / (1 + 10^((R_j - R_i) / 400))        one player's rating is fixed

A battle is a win of the first player (1), of the second (0) or a tie (1/2, that is half of each),
with a weight. The fit is unpenalised: a player who won or lost all his battles has no finite
rating, and gets a very high or low one.

With one opponent the fit has a closed form, which needs no ratings: a win rate is the weighted
share of wins, ties half. `weighted_win_rate` is what Arena-Hard's score comes from here; the fit is
for several players, and for further columns (style).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from r1.benchmarks.judging.logistic import Floats, fit_logistic

SCALE, ANCHOR = 400.0, 1000.0
"""Points of a tenfold chance, and the fixed player's rating."""


class Battle(NamedTuple):
    """first's result against second: 1 won, 1/2 tied, 0 lost. weight: how often it counts."""

    first: str
    second: str
    result: float
    weight: float = 1.0


def weighted_win_rate(battles: Sequence[Battle]) -> float | None:
    """The share of the weight that the first players won, ties half; None without a battle."""
    total = sum(battle.weight for battle in battles)
    return sum(b.weight * b.result for b in battles) / total if total else None


def fit_ratings(battles: Sequence[Battle], anchor: str) -> dict[str, float]:
    """The rating of every player; that of `anchor` is ANCHOR."""
    players = sorted({name for battle in battles for name in (battle.first, battle.second)})
    free = {name: i for i, name in enumerate(name for name in players if name != anchor)}
    x_ND = np.zeros((len(battles), len(free)))
    for row, battle in zip(x_ND, battles, strict=True):
        for name, sign in ((battle.first, 1.0), (battle.second, -1.0)):
            if name != anchor:
                row[free[name]] += sign
    beta_D = _fit(x_ND, battles)
    return {anchor: ANCHOR} | {
        name: ANCHOR + SCALE * float(beta_D[i]) / math.log(10.0) for name, i in free.items()
    }


def expected_win_rate(rating: float, other: float) -> float:
    """The chance that a player beats another."""
    return float(1.0 / (1.0 + 10.0 ** ((other - rating) / SCALE)))


def _fit(x_ND: npt.ArrayLike, battles: Sequence[Battle]) -> Floats:
    results, weights = [b.result for b in battles], [b.weight for b in battles]
    return fit_logistic(x_ND, results, weights)
