"""The Reward seam: judge one completion of one problem."""

from __future__ import annotations

from typing import Protocol

from r1.types import Completion, Problem, Score


class RewardFunction(Protocol):
    """A judgement of one completion. Raises nothing for anything a model may write."""

    def __call__(self, problem: Problem, completion: Completion) -> Score:
        """Return the score; value is in [0, 1] unless the reward says otherwise."""
