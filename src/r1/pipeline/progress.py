"""The interface that shows a pipeline's progress; `r1.progress` implements it for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from r1.stages.protocol import StageProgress


class PipelineEvents(Protocol):
    """Told of stages."""

    def stage(self, name: str, title: str, number: int, total: int) -> StageProgress:
        """A stage begins or resumes."""

    def staged(self, name: str, seconds: float, counts: Mapping[str, float]) -> None:
        """A stage is done."""

    def warn(self, message: str) -> None:
        """Show a warning; the run goes on."""


class MetricsSink(Protocol):
    """Takes the figures of every stage as they come: a port, a tracker, a function of the user's.

    A run that is no pipeline is the stage "training".
    """

    def begin(self, stage: str, first_step: int, num_steps: int) -> None:
        """A stage begins, or resumes at first_step."""

    def step(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed."""

    def evaluation(self, stage: str, step: int, summary: Mapping[str, Any]) -> None:
        """The weights after `step` updates were measured."""
