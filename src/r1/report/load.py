"""Read everything that the report needs from a run folder, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from r1.files.shapes import read_json
from r1.run_dir.evaluation import is_evaluation, read_request, read_result
from r1.run_dir.read import (
    is_done,
    read_evaluations,
    read_metrics,
    read_timings,
    require_run,
    rollout_steps,
    rollouts_path,
)
from r1.run_dir.shapes import StoredIdentity, Story
from r1.run_dir.stored import read_columns

EVALUATION = "evaluation"
MAX_LENGTH_STEPS = 400


@dataclass(frozen=True, slots=True)
class LengthQuartiles:
    """Response lengths of one training step, in tokens: the middle half is low..high."""

    step: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RunData:
    """A run as read from its folder; lists are by ascending step and may be empty.

    metrics[i]: values of training step i, measured on the weights after i updates.
    evaluations: measured on the weights after `step` updates.
    """

    folder: Path
    kind: str
    done: bool
    recipe: dict[str, Any]
    versions: dict[str, str]
    lineage: dict[str, Any]
    metrics: list[dict[str, Any]]
    timings: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    lengths: list[LengthQuartiles]

    @property
    def num_steps(self) -> int:
        """Training steps committed so far."""
        return len(self.metrics)


def load_run(folder: Path) -> RunData:
    """Read a run's or an evaluation's folder, even while it is being written.

    UserError where it is neither.
    """
    folder = Path(folder)
    if is_evaluation(folder):
        return load_evaluation(folder)
    require_run(folder)
    return RunData(
        folder=folder,
        kind=read_json(folder / "run.json", shape=StoredIdentity)["kind"],
        done=is_done(folder),
        recipe=read_json(folder / "recipe.json", {}, dict[str, Any]),
        versions=read_json(folder / "versions.json", {}, dict[str, str]),
        lineage=read_json(folder / "lineage.json", {}, Story),
        metrics=read_metrics(folder),
        timings=read_timings(folder),
        evaluations=read_evaluations(folder),
        lengths=_length_quartiles(folder),
    )


def load_evaluation(folder: Path) -> RunData:
    """Read the folder of `r1 eval` as a run with one evaluation and no step."""
    result, request = read_result(folder), read_request(folder)
    lineage = {"parent": request.get("model", {})}
    evaluations = [] if result is None else [result]
    return RunData(
        folder, EVALUATION, result is not None, request, {}, lineage, [], [], evaluations, []
    )


def spread(steps: Sequence[int], limit: int) -> list[int]:
    """Return at most `limit` of the steps, evenly spaced, with the first and the last."""
    if len(steps) <= limit:
        return list(steps)
    chosen = {round(i * (len(steps) - 1) / max(1, limit - 1)) for i in range(limit)}
    return [steps[index] for index in sorted(chosen)]


def _length_quartiles(folder: Path) -> list[LengthQuartiles]:
    found = []
    for step in spread(rollout_steps(folder), MAX_LENGTH_STEPS):
        lengths = read_columns(rollouts_path(folder, step), ["num_tokens"])["num_tokens"]
        if len(lengths):
            low, high = pc.quantile(lengths, q=[0.25, 0.75]).to_pylist()
            found.append(LengthQuartiles(step, low, high))
    return found
