"""Who hears of a run's steps and evaluations; `r1.progress` shows them in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class RunEvents(Protocol):
    """Receives the events of a run; one that never evaluates problems calls no `evaluating`."""

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None:
        """The run starts, or resumes at first_step."""

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed."""

    def evaluating(self, step: int, done: int, total: int) -> None:
        """An evaluation has judged `done` of `total` problems."""

    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None:
        """An evaluation was committed."""

    def warn(self, message: str) -> None:
        """Something the user should know of; the run goes on."""
