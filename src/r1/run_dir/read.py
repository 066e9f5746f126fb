"""Reading a run folder, also one that is still being written. Nothing here writes or locks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from r1.errors import UserError
from r1.run_dir.checkpoint import numbered, step_name


def is_run(folder: Path) -> bool:
    """True where `folder` is a run folder of ours."""
    return (folder / "run.json").is_file()


def is_done(folder: Path) -> bool:
    """True where the run reached its end."""
    return (folder / "DONE.json").is_file()


def require_run(folder: Path) -> None:
    """Raise UserError unless `folder` is a run folder."""
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; give the folder of a run (it holds run.json).")
    if not is_run(folder):
        raise UserError(f"{folder} is not a run: it has no run.json. Give the folder of a run.")


def read_json(path: Path, default: Any = None) -> Any:
    """Parse a JSON file; `default` where it does not exist. UserError where it is malformed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); restore it or remove it.") from None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Parse a file of JSON lines. A torn last line (a write in progress) is left out."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise UserError(f"{path}, line {number}: not valid JSON; restore the file.") from None
    return rows


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The deterministic metrics, one dictionary a step, each with "step". None stands for NaN."""
    return read_lines(folder / "metrics.jsonl")


def read_timings(folder: Path) -> list[dict[str, Any]]:
    """The measured seconds/... and speed/..., one dictionary a step, each with "step".

    seconds/evaluate is the time of evaluating the weights after `step` updates; the last such
    evaluation belongs to a step that has no other timings.
    """
    by_step: dict[int, dict[str, Any]] = {}
    for row in read_lines(folder / "timings.jsonl"):
        by_step.setdefault(row["step"], {}).update(row)
    return [by_step[step] for step in sorted(by_step)]


def rollout_steps(folder: Path) -> list[int]:
    """The steps whose rollouts are stored, ascending."""
    return numbered(folder / "rollouts", ".parquet")


def read_rollouts(folder: Path, step: int) -> list[dict[str, Any]]:
    """The completions of one training step (columns: run_dir/completions.py)."""
    return read_table(folder / "rollouts" / f"{step_name(step)}.parquet")


def read_evaluations(folder: Path) -> list[dict[str, Any]]:
    """The summaries of all evaluations, by ascending step."""
    steps = numbered(folder / "evaluations", ".json")
    return [read_json(folder / "evaluations" / f"{step_name(step)}.json") for step in steps]


def read_evaluation_completions(folder: Path, step: int) -> list[dict[str, Any]]:
    """The completions behind one evaluation; [] where they were not kept."""
    path = folder / "evaluations" / f"{step_name(step)}.parquet"
    return read_table(path) if path.is_file() else []


def read_table(path: Path) -> list[dict[str, Any]]:
    """Rows of a Parquet file; UserError where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            return pq.read_table(file).to_pylist()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    except ValueError as error:  # pyarrow's ArrowInvalid is one
        raise UserError(f"{path} cannot be read ({error}); the file is damaged.") from None
