"""Where a run's figures are sent besides its folder (torch-free)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from pydantic import Field, field_validator

from r1.config import Settings

TRACKERS = ("wandb", "tensorboard", "trackio")
"""By the names of their packages, which are those of r1's extras."""
PROJECT = "r1"


class TrackSettings(Settings):
    """Experiment trackers that are given the figures of a run too. A run has its folder's name."""

    to: tuple[str, ...] = Field(
        min_length=1,
        description='trackers: "wandb", "tensorboard", "trackio"; with a project of yours '
        '"wandb:PROJECT", by default "r1". Each needs its package',
    )

    @property
    def projects(self) -> Mapping[str, str]:
        """The trackers, each with its project."""
        parts = [each.partition(":") for each in self.to]
        return {name: project or PROJECT for name, _, project in parts}

    @field_validator("to")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            name, colon, project = each.partition(":")
            if name in TRACKERS and colon and not project:
                raise ValueError(
                    f"{each!r} names no project; write one behind the colon, or {name!r}"
                )
            if name == "tensorboard" and colon:
                raise ValueError(f"{name!r} has no projects; write it without {each[11:]!r}")
            if name not in TRACKERS:
                near = difflib.get_close_matches(name, TRACKERS, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(TRACKERS)}"
                raise ValueError(f"no tracker is called {name!r}; {hint}")
        if len({each.partition(":")[0] for each in value}) < len(value):
            raise ValueError("a tracker is named twice; leave one out")
        return value
