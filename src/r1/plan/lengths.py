"""Response lengths: measured from a finished run, or log-normal.

    measured    any response of RUN/rollouts, drawn with replacement
    log-normal  a mean, a spread sigma of the logarithm; what exceeds the limit is cut there

Reasoning responses have a long right tail; sigma = 0.8 (a 99th percentile 4.7 times the mean) is
this package's assumption and is printed with every plan. Torch-free.

Left out on purpose: that responses of one problem resemble each other, and that they grow.
"""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1.errors import UserError
from r1.run_dir.read import rollout_steps, rollouts_path
from r1.run_dir.stored import read_columns

SPREAD = 0.8


class Lengths(NamedTuple):
    """A distribution of response lengths in tokens: sorted quantiles of equal weight.

    note: where they come from, for people.
    """

    quantiles: NDArray[np.int64]
    note: str

    @property
    def mean(self) -> float:
        """Return the mean length."""
        return float(np.mean(self.quantiles))

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> NDArray[np.int64]:
        """Draw lengths (groups, responses in each) with replacement."""
        return generator.choice(self.quantiles, size)


def log_normal(mean: float, limit: int, spread: float = SPREAD, number: int = 4096) -> Lengths:
    """Return quantiles of a log-normal that is cut at `limit` and then has this mean.

    Its median is found by bisection; a mean at the limit gives the limit alone.
    """
    z = np.array([NormalDist().inv_cdf((i + 0.5) / number) for i in range(number)])

    def cut(middle: float) -> NDArray[np.float64]:
        return np.clip(np.exp(np.minimum(middle + spread * z, 50.0)), 1.0, limit)

    low, high = -10.0, math.log(limit) + 10 * spread + 1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if cut(middle).mean() < mean else (low, middle)
    quantiles = np.maximum(1, np.rint(cut(high))).astype(np.int64)
    note = f"lengths: a log-normal of mean {mean:,.0f} and spread {spread:g}, cut at {limit:,}"
    return Lengths(quantiles, note)


def measured(run: Path, limit: int) -> Lengths:
    """Return the lengths of all responses in a run's rollouts, cut at `limit`.

    Raises UserError where the folder holds none.
    """
    every = np.sort(np.concatenate(list(by_step(run).values())))
    cut = np.minimum(every, limit)
    note = f"lengths: {len(every):,} responses of {run}, mean {cut.mean():,.1f}"
    over = int((every > limit).sum())
    return Lengths(cut, note + (f"; {over:,} of them cut at {limit:,}" if over else ""))


def by_step(run: Path) -> dict[int, NDArray[np.int64]]:
    """Return the lengths of each step's responses in a run. Raises UserError without any."""
    found = {}
    for step in rollout_steps(run):
        column = read_columns(rollouts_path(run, step), ["num_tokens"])["num_tokens"]
        found[step] = column.to_numpy().astype(np.int64)
    if not any(len(lengths) for lengths in found.values()):
        raise UserError(f"{run} has no rollouts/step-*.parquet; name the folder of a finished run.")
    return found
