"""The interface that shows a pipeline's progress; `r1.progress` implements it for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from r1.stages.protocol import StageProgress


class PipelineEvents(Protocol):
    """Told of stages."""

    def stage(self, name: str, title: str, number: int, total: int) -> StageProgress:
        """A stage begins or resumes."""

    def staged(self, name: str, seconds: float, counts: Mapping[str, float]) -> None:
        """A stage is done."""

    def warn(self, message: str) -> None:
        """Show a warning; the run goes on."""
