"""Look at a run while it goes on: each cause is told once, after the steps in which it shows.

A look reads the run's folder, so it is taken after steps 2, 3, 4, 6, 8, 11, ... (each a quarter
later than the one before): of ten thousand steps some forty. Checks that take seconds are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1.diagnose import diagnosis as registry
from r1.diagnose import show
from r1.diagnose.diagnosis import Diagnosis
from r1.diagnose.view import load_view
from r1.errors import UserError
from r1.run_dir.events import RunEvents

FIRST_LOOK = 2


class HopelessRunError(UserError):
    """A run in which nothing can be learnt was stopped, as its recipe asks."""


class WatchedEvents:
    """Passes a run's events on, and tells what keeps it from learning; see RunEvents."""

    def __init__(self, events: RunEvents, folder: Path, stop_when_hopeless: bool = False) -> None:
        self.events = events
        self.folder = folder
        self.stop_when_hopeless = stop_when_hopeless
        self._told: set[str] = set()
        self._next_look = FIRST_LOOK

    def begin(self, first_step: int, num_steps: int, notices: list[str]) -> None:
        """The run starts, or resumes at first_step."""
        self._next_look = max(FIRST_LOOK, first_step + 1)
        self.events.begin(first_step, num_steps, notices)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """A step was committed; look at the run where that is due.

        Raises HopelessRunError where nothing is learnt and the recipe asks for an end.
        """
        self.events.step(step, metrics)
        done = step + 1
        if done < self._next_look:
            return
        self._next_look = done + max(1, done // 4)
        for diagnosis in registry.find_causes(load_view(self.folder, slow_too=False)):
            if diagnosis.cause not in self._told:
                self._told.add(diagnosis.cause)
                self.events.warn(show.as_lines(diagnosis))
            if diagnosis.hopeless and self.stop_when_hopeless:
                raise HopelessRunError(_ending(self.folder, done, diagnosis))

    def evaluating(self, step: int, done: int, total: int) -> None:
        """An evaluation has judged `done` of `total` problems."""
        self.events.evaluating(step, done, total)

    def evaluation(self, step: int, summary: Mapping[str, Any]) -> None:
        """An evaluation was committed."""
        self.events.evaluation(step, summary)

    def warn(self, message: str) -> None:
        """Something the user should know of; the run goes on."""
        self.events.warn(message)


def _ending(folder: Path, done: int, diagnosis: Diagnosis) -> str:
    return (
        f"{folder}: stopped after step {done}, since nothing is learnt (stop_when_hopeless). "
        f"{diagnosis.title} {diagnosis.evidence}. Try: {diagnosis.remedy}. For another "
        "recipe give another folder; stop_when_hopeless = false carries this run on as it is."
    )
