"""Which problems step s trains on: a pure function of (seed, s), so that resume repeats nothing.

The problems are dealt out in epochs, each an independent shuffle. A step takes the next
num_per_step of that endless row, across the end of an epoch where the counts do not divide: in
every epoch each problem comes exactly once. A step never holds a problem twice: where the head of
a new epoch repeats what the same step took from the tail of the last, those are swapped with
later ones of the new epoch.

A mixture gives each source its own row and every step the same number from each, in proportion to
the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from r1.errors import SettingError
from r1.types import Problem


def require_enough(there: int, num_per_step: int, setting: str) -> None:
    """Raise UserError where a step takes more problems than there are. setting: num_per_step's
    name."""
    if num_per_step > there:
        raise SettingError(
            f"a step takes {num_per_step} different problems but there are only {there}; add "
            f"problems or lower {setting} to {there}."
        )


class Batches(Protocol):
    """The problems of each step."""

    def batch(self, step: int) -> list[Problem]:
        """The problems of one step (from 0), none of them twice."""


class ProblemSource:
    """One pool of problems, dealt out num_per_step at a time."""

    def __init__(
        self,
        problems: Sequence[Problem],
        num_per_step: int,
        seed: int,
        stream: int = 0,
        setting: str = "num_problems",
    ) -> None:
        """stream keeps the shuffles of a mixture's sources apart. setting: num_per_step's name.

        Raises UserError where a step would need more problems than there are.
        """
        require_enough(len(problems), num_per_step, setting)
        assert num_per_step >= 1
        self.problems = problems
        self.num_per_step = num_per_step
        self._key = (seed, stream)
        self._orders: dict[int, np.ndarray] = {}

    def batch(self, step: int) -> list[Problem]:
        """The problems of one step (from 0), none of them twice."""
        size = len(self.problems)
        position = step * self.num_per_step
        end = position + self.num_per_step
        chosen: list[Problem] = []
        while position < end:
            epoch, start = divmod(position, size)
            taken = self._order(epoch)[start : start + end - position]
            chosen += [self.problems[index] for index in taken.tolist()]
            position += len(taken)
        return chosen

    def _order(self, epoch: int) -> np.ndarray:
        """The order of one epoch; the orders of two neighbouring epochs are kept."""
        if epoch in self._orders:
            return self._orders[epoch]
        # A swap reaches no further than the middle of an epoch with room for it, and so leaves
        # alone the tail on which the next epoch depends: two epochs back is far enough. Too small
        # a pool has no such middle: its epochs follow from the first (or from one at hand).
        independent = len(self.problems) >= 2 * self.num_per_step - 1
        first = max([epoch - 2 if independent else 0, 0, *(e for e in self._orders if e < epoch)])
        order = self._orders.get(first)
        if order is None:
            order = self._shuffled(first)
        for later in range(first + 1, epoch + 1):
            previous, order = order, self._shuffled(later)
            self._repair(previous, order, later)
            self._orders = {later - 1: previous, later: order}
        self._orders[epoch] = order
        return order

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([*self._key, epoch]).permutation(len(self.problems))

    def _repair(self, previous: np.ndarray, order: np.ndarray, epoch: int) -> None:
        """Swap out of the head of `order` what the same step took from the end of `previous`."""
        num_before = epoch * len(self.problems) % self.num_per_step
        if num_before == 0:
            return
        num_after = self.num_per_step - num_before
        taken = previous[-num_before:]
        clashes = np.flatnonzero(np.isin(order[:num_after], taken))
        free = num_after + np.flatnonzero(~np.isin(order[num_after:], taken))[: len(clashes)]
        order[clashes], order[free] = order[free], order[clashes]


class MixedSource:
    """Several pools; every step takes the same number from each, in the order of the sources."""

    def __init__(self, parts: Sequence[ProblemSource]) -> None:
        self.parts = parts

    def batch(self, step: int) -> list[Problem]:
        """The problems of one step (from 0), none of them twice."""
        return [problem for part in self.parts for problem in part.batch(step)]


def make_batches(
    pools: Sequence[Sequence[Problem]],
    weights: Sequence[float] | None,
    num_per_step: int,
    seed: int,
    setting: str = "num_problems",
) -> Batches:
    """One shuffled pool of everything, or a mixture by weight. setting: num_per_step's name.

    Raises UserError where a step needs more problems than a pool has, or where a weight is too
    small for even one problem a step.
    """
    if weights is None:
        everything = [problem for pool in pools for problem in pool]
        return ProblemSource(everything, num_per_step, seed, setting=setting)
    quotas = quotas_of(weights, num_per_step, setting)
    parts = zip(pools, quotas, strict=True)
    return MixedSource(
        [
            ProblemSource(pool, quota, seed, stream, setting)
            for stream, (pool, quota) in enumerate(parts)
        ]
    )


def quotas_of(weights: Sequence[float], num_per_step: int, setting: str) -> list[int]:
    """Return how many problems of a step each source gives. Raises UserError where one gives none.

    setting: num_per_step's name.
    """
    quotas = apportion(num_per_step, weights)
    for number, quota in enumerate(quotas, start=1):
        if quota == 0:
            raise SettingError(
                f"data.train: the weight of source {number} gives it none of the {num_per_step} "
                f"problems of a step; raise its weight or {setting}."
            )
    return quotas


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to the weights that sum to total (largest remainder first)."""
    exact = [total * weight / sum(weights) for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: shares[i] - exact[i])
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
