"""The trackers' own clients behind one interface; their packages are imported on opening.

wandb is opened so that it asks nothing on the terminal and does not capture what is written there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from r1.errors import UserError, install_extra
from r1.run_dir import atomic


class TrackedRun(NamedTuple):
    """What a tracker is told of a run or stage.

    id: stays when the run is resumed. group: the recipe's name where the run is one of its stages.
    folder: of the whole run, for files of the tracker. config: the resolved recipe. begins: it is
    new to the trackers; what they have under its name is another run.
    """

    project: str
    name: str
    id: str
    group: str | None
    folder: Path
    config: Mapping[str, Any]
    begins: bool = False


class Tracker(Protocol):
    """An open tracker; any method may raise anything."""

    def log(self, updates: int, values: Mapping[str, float]) -> None:
        """Add figures under the number of updates done."""

    def close(self) -> None:
        """Send what is left."""


class WandbTracker:
    """Weights & Biases: `wandb.init` with a fixed id, resumed where it exists."""

    def __init__(self, run: TrackedRun) -> None:
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.id,
            group=run.group,
            resume="allow",
            config=dict(run.config),
            dir=str(run.folder),
            reinit="create_new",
            settings={"silent": True, "console": "off"},  # silent also never asks for a key
        )

    def log(self, updates: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=updates)

    def close(self) -> None:
        self._run.finish()


class TensorBoardTracker:
    """TensorBoard: event files in RUN/tensorboard, by torch's own writer.

    Those of an earlier run of the name are renamed: two in a folder would be one curve.
    """

    def __init__(self, run: TrackedRun) -> None:
        module = importlib.import_module("torch.utils.tensorboard")
        folder = run.folder / "tensorboard" / (run.name if run.group else "")
        if run.begins and folder.exists():
            atomic.put_aside(folder)
        self._writer = module.SummaryWriter(log_dir=str(folder))

    def log(self, updates: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, global_step=updates)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class TrackioTracker:
    """trackio: a local database, which knows runs by their names; the id makes a name unique."""

    def __init__(self, run: TrackedRun) -> None:
        trackio = importlib.import_module("trackio")
        self._run = trackio.init(
            project=run.project,
            name=f"{run.name}-{run.id}",
            group=run.group,
            config=dict(run.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, updates: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=updates)

    def close(self) -> None:
        self._run.finish()


OPENERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "wandb": WandbTracker,
    "tensorboard": TensorBoardTracker,
    "trackio": TrackioTracker,
}
"""By their names in `track.to`, which are the names of their packages and of r1's extras."""


def require_packages(names: Iterable[str]) -> None:
    """Raise UserError, before a run begins, for a tracker whose package is missing."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"track.to names {name}, whose package is not installed: "
                f"{install_extra(name)}, or leave it out."
            )
