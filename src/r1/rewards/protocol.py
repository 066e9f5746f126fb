"""The Reward seam: judge one completion of one problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from r1.rewards.settings import RewardSettings
from r1.types import Completion, Problem, Score


class RewardFunction(Protocol):
    """Judges one completion. Raises nothing, whatever the model wrote."""

    def __call__(self, problem: Problem, completion: Completion) -> Score:
        """Return the score; value is in [0, 1] unless the reward says otherwise."""


@dataclass(frozen=True)
class PromptForm:
    """The form of the prompt, as far as rewards need it.

    opened: the prompt ended in `<think>`. stop: the stop strings left out of completions' text.
    """

    opened: bool = False
    stop: tuple[str, ...] = ()


RewardFactory = Callable[[RewardSettings, PromptForm], RewardFunction]
