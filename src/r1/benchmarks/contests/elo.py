"""Ratings of a contest: the seed of a rating among competitors, and the rating of a rank.

    P(i beats j)          1 / (1 + 10^((R_j - R_i) / 400))
    seed(x)               1 + Σ_j 1 / (1 + 10^((x - R_j) / 400)), over the N competitors
    performance(r)        the x with seed(x) = r; seed falls strictly, from N + 1 to 1

Above all competitors and below all there is no solution: ranks are clamped to 1.5 and N + 0.5,
which is told. So a contest for weaker competitors (Div. 2: below 2100) bounds what it can measure.

Source: the rating system of Codeforces (M. Mirzayanov, "Open Codeforces Rating System", 2015).
Left out: the site's own update, which moves a rating half the way to the rating of the geometric
mean of rank and seed, and then corrects all changes of a contest to a sum just below 0.

Shapes: N competitors, R ranks, U distinct ratings, G points of a grid.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_SPAN = 2000.0
"""Points beyond the highest and lowest rating: 1e5 competitors at one rating have their clamped
ranks within 2200."""
_GRID = 1025
_STEPS = 7
_CHUNK = 500  # ranks at once: bounds memory


class Performance(NamedTuple):
    """A rating in points; clamped: the rank lies outside 1.5 … N + 0.5."""

    rating: float
    clamped: bool


def seeds(x_R: npt.ArrayLike, rating_N: npt.ArrayLike) -> Floats:
    """The seed of each rating x among the competitors, shape (R,)."""
    points_U, num_U = np.unique(np.asarray(rating_N, dtype=np.float64), return_counts=True)
    return _seeds(np.atleast_1d(np.asarray(x_R, dtype=np.float64)), points_U, num_U)[0]


def performances(rank_R: npt.ArrayLike, rating_N: npt.ArrayLike) -> Floats:
    """The rating of each rank, clamped, to less than 1e-6 points, shape (R,).

    A grid brackets the solution, Newton's steps within the bracket find it.
    """
    ratings = np.asarray(rating_N, dtype=np.float64)
    rank_R = np.clip(np.atleast_1d(np.asarray(rank_R, dtype=np.float64)), 1.5, ratings.size + 0.5)
    points_U, num_U = np.unique(ratings, return_counts=True)
    grid_G = np.linspace(points_U[0] - _SPAN, points_U[-1] + _SPAN, _GRID)
    place_R = np.searchsorted(-_seeds(grid_G, points_U, num_U)[0], -rank_R)
    low_R, high_R = grid_G[place_R - 1], grid_G[place_R]
    x_R = (low_R + high_R) / 2.0
    for _ in range(_STEPS):
        seed_R, slope_R = _seeds(x_R, points_U, num_U)
        x_R = np.clip(x_R - (seed_R - rank_R) / slope_R, low_R, high_R)
    return x_R


def _seeds(x_R: Floats, points_U: Floats, num_U: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Seeds and their slopes, in places a point; num_U: competitors of each distinct rating."""
    seed_R, slope_R = np.empty(x_R.shape), np.empty(x_R.shape)
    for start in range(0, x_R.size, _CHUNK):
        rows = slice(start, start + _CHUNK)
        beaten_RU = 1.0 / (1.0 + 10.0 ** ((x_R[rows, None] - points_U) / 400.0))
        seed_R[rows] = 1.0 + beaten_RU @ num_U
        slope_R[rows] = -(beaten_RU * (1.0 - beaten_RU)) @ num_U * (np.log(10.0) / 400.0)
    return seed_R, slope_R


def performance(rank: float, rating_N: npt.ArrayLike) -> Performance:
    """The rating of a rank, which need not be whole."""
    size = np.size(np.asarray(rating_N))
    clamped = not 1.5 <= rank <= size + 0.5
    return Performance(float(performances([rank], rating_N)[0]), clamped)


def share_below(x: float, rating_N: npt.ArrayLike) -> float:
    """The share of ratings below x: the percentile by a snapshot of all users' ratings."""
    return float(np.mean(np.asarray(rating_N) < x))
