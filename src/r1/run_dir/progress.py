"""The interface that shows a run's progress; `r1.progress` implements it for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """Receives run events."""

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None:
        """The run starts, or resumes at first_step."""

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed."""

    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None:
        """An evaluation was committed."""
