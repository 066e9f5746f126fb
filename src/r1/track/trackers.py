"""The trackers of a run, as a sink of its figures (`r1.pipeline.progress.MetricsSink`).

Each stage of a recipe is a run of its own there. The x axis is the number of updates done: step 0
of metrics.jsonl is 1, and an evaluation before the first step is 0.

    track.json      in each run's own folder: its id in the trackers, and what each has taken

The file lies in the folder that it describes, so a stage that is put aside takes its own with it,
and the stage that begins anew becomes a new run in the trackers.
"""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from r1.config import dump
from r1.files.shapes import read_json
from r1.run_dir import atomic, read
from r1.run_dir.run import TRACKED
from r1.track.backends import OPENERS, TrackedRun, require_packages
from r1.track.lane import Point, TrackerLane
from r1.track.settings import TrackSettings

HELDOUT = "heldout/"


class TrackedStage(TypedDict):
    """A stage in track.json. sent: tracker -> kind of point -> updates of the newest one."""

    id: str
    sent: dict[str, dict[str, int]]


class Trackers:
    """Sends a run's figures to every tracker of its settings."""

    def __init__(
        self, settings: TrackSettings, recipe: Any, out: Path, warn: Callable[[str], None]
    ) -> None:
        """out: the run's folder. warn: shows the user a sentence; the run goes on."""
        require_packages(settings.projects)
        self._projects, self._config = settings.projects, dump(recipe)
        self._out, self._warn = out, warn
        self._lanes: list[TrackerLane] = []
        self._lock = threading.Lock()

    def begin(self, stage: str, first_step: int, num_steps: int) -> None:
        """Open the stage in every tracker, and send what an earlier start did not."""
        self.close()
        inside = self._out / stage / "run"
        run = inside if read.is_run(inside) else self._out
        with self._lock:
            state = read_json(run / TRACKED, {}, dict[str, TrackedStage])
            begins = stage not in state
            entry = state.setdefault(stage, {"id": uuid.uuid4().hex[:12], "sent": {}})
            sent_to = {name: entry["sent"].setdefault(name, {}) for name in self._projects}
        whole = self._out.resolve().name
        named, group = (stage, whole) if run == inside else (whole, None)
        record = partial(self._record, run / TRACKED, state)
        told = TrackedRun("", named, entry["id"], group, self._out, self._config, begins)
        for name, sent in sent_to.items():
            opener = partial(OPENERS[name], told._replace(project=self._projects[name]))
            self._lanes.append(TrackerLane(name, opener, sent, record, self._warn))
        for point in points_of(run, first_step):
            self._add(point)

    def step(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        """Send a committed step."""
        self._add(Point("step", step + 1, numbers(metrics)))

    def evaluation(self, stage: str, step: int, summary: Mapping[str, Any]) -> None:
        """Send the evaluation of the weights after `step` updates."""
        self._add(evaluated(step, summary))

    def close(self) -> None:
        """Send what is left of the stage."""
        lanes, self._lanes = self._lanes, []
        for lane in lanes:
            lane.close()

    def _add(self, point: Point) -> None:
        for lane in self._lanes:
            lane.add(point)

    def _record(self, file: Path, state: Mapping[str, TrackedStage]) -> None:
        with self._lock:
            atomic.write_json(file, state)


def points_of(run: Path, before_step: int) -> Iterator[Point]:
    """Yield what a run's folder holds of the steps before `before_step`, in order."""
    timings = {row["step"]: row for row in read.read_timings(run)}
    evaluations = {each["step"]: each for each in read.read_evaluations(run)}
    for row in read.read_metrics(run):
        step = row["step"]
        if step in evaluations:
            yield evaluated(step, evaluations.pop(step))
        if step < before_step:
            yield Point("step", step + 1, numbers({**timings.get(step, {}), **row}))
    for step in sorted(evaluations):
        yield evaluated(step, evaluations[step])


def evaluated(step: int, summary: Mapping[str, Any]) -> Point:
    """Return an evaluation as a point; an estimate becomes three figures."""
    flat: dict[str, Any] = {}
    for name, value in summary.items():
        if isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys():
            flat |= {name: value["value"]}
            flat |= {f"{name}/{end}": value[end] for end in ("low", "high")}
        elif name != "step":
            flat[name] = value
    return Point("evaluation", step, {HELDOUT + k: v for k, v in numbers(flat).items()})


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers, but for the step's own."""
    plain = {k: v.item() if hasattr(v, "item") else v for k, v in values.items() if k != "step"}
    return {
        name: float(value)
        for name, value in plain.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


@contextmanager
def tracked(recipe: Any, out: Path, progress: Any) -> Iterator[None]:
    """Send the run's figures to the trackers of its [track], if it has one, until the block ends.

    progress: passes figures on to its `sinks`, and warns. Raises UserError for a missing package.
    """
    settings = getattr(recipe, "track", None)
    if settings is None:
        yield
        return
    trackers = Trackers(settings, recipe, out, progress.warn)
    progress.sinks = [*progress.sinks, trackers]
    try:
        yield
    finally:
        progress.sinks = [sink for sink in progress.sinks if sink is not trackers]
        trackers.close()
