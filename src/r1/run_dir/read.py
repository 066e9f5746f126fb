"""Read a run folder, even while it is being written. Nothing here writes or locks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.files.json_text import FormatError
from r1.files.shapes import fitted, read_json, read_json_lines
from r1.run_dir.checkpoint import numbered, step_name
from r1.run_dir.shapes import Facts, PipelineFile, Step, Summary, Values
from r1.run_dir.stored import read_completions

FINAL_STAGE = "r1"
"""The stage that a run of the whole recipe stands for, where it has one of this name."""


def is_run(folder: Path) -> bool:
    """Whether `folder` is a run folder of r1."""
    return (folder / "run.json").is_file()


def training_run(folder: Path) -> Path:
    """Return the run folder in a stage, or in a whole recipe's final stage; else `folder`.

    Raises UserError for a whole recipe's run that has no checkpoint of its final stage.
    """
    if (folder / "pipeline.json").is_file():
        stages = read_json(folder / "pipeline.json", {"stages": []}, PipelineFile)["stages"]
        trained = [s["name"] for s in stages if "checkpoint" in s.get("outputs", {}).values()]
        made = [name for name in trained if is_run(folder / name / "run")]
        if FINAL_STAGE not in made:
            choices = ", ".join(str(folder / name) for name in made)
            raise UserError(
                f"{folder} has no checkpoint of a stage {FINAL_STAGE}: "
                + (f"name one of those it has: {choices}." if made else "it has none yet.")
            )
        folder = folder / FINAL_STAGE
    return folder / "run" if is_run(folder / "run") else folder


def is_done(folder: Path) -> bool:
    """Whether the run reached its end."""
    return (folder / "DONE.json").is_file()


def require_run(folder: Path) -> None:
    """Raise UserError unless `folder` is a run folder."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}; give the folder of a run (it holds run.json).")
    if not is_run(folder):
        raise UserError(f"{folder} is not a run: it has no run.json. Give the folder of a run.")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl or timings.jsonl: numbers, each line with its "step"."""
    rows = list(read_json_lines(path, Values))
    for number, row in enumerate(rows, start=1):
        try:
            fitted(row.get("step"), Step)
        except FormatError as fault:
            raise UserError(f'{path}, line {number}: "step" is no step ({fault}).') from None
    return rows


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the deterministic metrics, a dictionary per step with "step". None stands for NaN."""
    return read_lines(folder / "metrics.jsonl")


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what was found of prompts and data when the run began; {} for an older run."""
    found: dict[str, Any] = read_json(folder / "facts.json", {}, Facts)
    return found


def read_timings(folder: Path) -> list[dict[str, Any]]:
    """Return the measured seconds/... and speed/..., a dictionary per step with "step".

    seconds/evaluate is the time of evaluating the weights after `step` updates; the last such
    evaluation belongs to a step that has no other timings.
    """
    by_step: dict[int, dict[str, Any]] = {}
    for row in read_lines(folder / "timings.jsonl"):
        by_step.setdefault(row["step"], {}).update(row)
    return [by_step[step] for step in sorted(by_step)]


def rollout_steps(folder: Path) -> list[int]:
    """Return the steps whose rollouts are stored, ascending."""
    return numbered(folder / "rollouts", ".parquet")


def rollouts_path(folder: Path, step: int) -> Path:
    """Return the path of one training step's completions (columns: run_dir/completions.py)."""
    return folder / "rollouts" / f"{step_name(step)}.parquet"


def read_rollouts(folder: Path, step: int) -> list[dict[str, Any]]:
    """Return the completions of one training step."""
    return read_completions(rollouts_path(folder, step))


def read_evaluations(folder: Path) -> list[dict[str, Any]]:
    """Return the summaries of all evaluations, by ascending step."""
    steps = numbered(folder / "evaluations", ".json")
    files = [folder / "evaluations" / f"{step_name(step)}.json" for step in steps]
    return [read_json(file, shape=Summary) for file in files]


def evaluation_path(folder: Path, step: int) -> Path:
    """Return the path of one evaluation's completions, if they were kept."""
    return folder / "evaluations" / f"{step_name(step)}.parquet"


def read_evaluation_completions(folder: Path, step: int) -> list[dict[str, Any]]:
    """Return the completions of one evaluation; [] if they were not kept."""
    path = evaluation_path(folder, step)
    return read_completions(path) if path.exists() else []
