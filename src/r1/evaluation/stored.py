"""Read an evaluation back for a comparison: its problems' counts and the settings it was made by.

    folder of `r1 eval`               request.json, evaluation.json, blocks/*.parquet
    run                               its last evaluation of which the completions were kept
    RUN/evaluations/step-NNNNNN.json  that one
    RUN/STAGE of kind "evaluation"    evaluation.json, completions.parquet

`read_evaluation` reads how responses ended and were judged; their texts are for `preference.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from r1.config import dump, validate
from r1.errors import UserError
from r1.evaluation.compare import ProblemCounts
from r1.evaluation.settings import DECISIVE_REWARDS
from r1.evaluation.summary import ACCURACY
from r1.files.shapes import read_json
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.run_dir.checkpoint import numbered, step_name
from r1.run_dir.evaluation import COMPLETIONS, RESULT, block_files, is_evaluation, read_request
from r1.run_dir.read import evaluation_path, is_run
from r1.run_dir.shapes import StageEvaluation, Summary
from r1.run_dir.stored import check_columns, read_columns
from r1.template import TemplateSettings
from r1.types import Outcome

_OUTCOME = f"outcome/{ACCURACY}"
_COLUMNS = ["problem_id", "family", "prompt", "reference", "finish_reason", _OUTCOME]
_EVALUATIONS = "evaluations"
_VERDICTS = [str(outcome) for outcome in Outcome if outcome.is_verdict]


class StoredEvaluation(NamedTuple):
    """An evaluation by what it found and how. settings: nested, for `setting_differences`."""

    name: str
    counts: dict[str, ProblemCounts]
    num_samples: int
    settings: dict[str, Any]


class FoundEvaluation(NamedTuple):
    """A finished evaluation's tables of completions, its figures, and the settings it tells of."""

    name: str
    files: list[Path]
    summary: Mapping[str, Any]
    settings: dict[str, Any]


class SettingDifference(NamedTuple):
    """A setting that two evaluations do not share, such as sampling.temperature."""

    key: str
    first: Any
    second: Any


def read_evaluation(path: Path) -> StoredEvaluation:
    """Read an evaluation. Raises UserError where there is none, or not a finished one."""
    return _stored(find_evaluation(path))


def find_evaluation(path: Path) -> FoundEvaluation:
    """Find an evaluation's files. Raises UserError where there is none, or not a finished one."""
    if path.parent.name == _EVALUATIONS and is_run(path.parent.parent):
        for step in _steps(path.parent.parent):
            if step_name(step) == path.stem:
                return _of_run(path.parent.parent, step, str(path))
        raise UserError(f"{path} is no evaluation whose completions were kept.")
    if not path.is_dir():
        raise UserError(f"{path} does not exist; give the folder of an evaluation (r1 eval).")
    if is_run(path):
        steps = _steps(path)
        if not steps:
            raise UserError(
                f"{path} holds no evaluation whose completions were kept; measure it first: "
                f"r1 eval {path}"
            )
        return _of_run(path, steps[-1], f"{path}, step {steps[-1]}")
    if (path / COMPLETIONS).is_file():
        return _of_stage(path)
    if not is_evaluation(path):
        raise UserError(
            f"{path} is not an evaluation; give a folder that r1 eval wrote, a stage of kind "
            "evaluation, a run, or one of a run's evaluations (RUN/evaluations/step-NNNNNN.json)."
        )
    return _of_command(path)


def setting_differences(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[SettingDifference]:
    """Return the settings that differ, in the sections that both evaluations tell of."""
    flat = [_flat(each) for each in (first, second)]
    keys = [
        key for key in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(key) != flat[1].get(key)
    ]
    shared = first.keys() & second.keys()
    return [
        SettingDifference(key, flat[0].get(key), flat[1].get(key))
        for key in keys
        if key.partition(".")[0] in shared
    ]


def _of_command(folder: Path) -> FoundEvaluation:
    summary = read_json(folder / RESULT, shape=Summary)
    if summary is None:
        raise UserError(f"{folder} has not ended; give the same r1 eval again, which carries on.")
    request = read_request(folder)
    told = ("template", "rewards", "dtype", "judge", "plugins")
    settings = {name: request[name] for name in told if name in request}
    settings["engine"] = request.get("engine", "embedded")
    return FoundEvaluation(str(folder), block_files(folder), summary, settings)


def _of_stage(folder: Path) -> FoundEvaluation:
    told = read_json(folder / RESULT, shape=StageEvaluation)
    if told is None:
        raise UserError(f"{folder} has not ended; give the same r1 run again, which carries on.")
    settings = {"template": {"kind": told["template"]}} if told.get("template") else {}
    summary = {"k": told.get("num_samples"), "sampling": told.get("sampling") or {}}
    return FoundEvaluation(str(folder), [folder / COMPLETIONS], summary, settings)


def _of_run(run: Path, step: int, name: str) -> FoundEvaluation:
    summary = read_json(run / _EVALUATIONS / f"{step_name(step)}.json", shape=Summary)
    recipe = read_json(run / "recipe.json", {})

    def section(key: str, schema: Any) -> Any:
        return validate(recipe.get(key) or {}, schema, f"{key} of {run}/recipe.json")

    engine = section("engine", EngineSettings)
    rewards = section("rewards", RewardSettings)
    settings = {
        "template": dump(section("template", TemplateSettings)),
        "rewards": rewards.model_dump(mode="json", include=DECISIVE_REWARDS),
        "dtype": engine.dtype,
        "engine": engine.kind,
    }
    return FoundEvaluation(name, [evaluation_path(run, step)], summary, settings)


def _stored(found: FoundEvaluation) -> StoredEvaluation:
    name, summary = found.name, found.summary
    counts: dict[str, ProblemCounts] = {}
    for path in found.files:
        own = _counts(path)
        if again := counts.keys() & own.keys():
            raise UserError(f'{path}: problem "{min(again)}" is in another file too; restore it.')
        counts |= own
    if not counts:
        raise UserError(f"{name} holds no answer that was judged right or wrong.")
    num_samples = summary.get("k") or max(each.num_samples for each in counts.values())
    told = {"samples": num_samples, "sampling": summary.get("sampling", {})}
    return StoredEvaluation(name, counts, num_samples, {**told, **found.settings})


def _steps(run: Path) -> list[int]:
    """The steps whose evaluation is complete and has its completions, ascending."""
    steps = numbered(run / _EVALUATIONS, ".json")
    return [step for step in steps if evaluation_path(run, step).is_file()]


def _counts(path: Path) -> dict[str, ProblemCounts]:
    """The problems of a table that have an accuracy reward."""
    if ACCURACY not in check_columns(path):  # a block of families without that reward
        return {}
    table = read_columns(path, _COLUMNS)
    table = table.filter(pa.compute.is_valid(table[_OUTCOME]))
    outcome = table[_OUTCOME].to_numpy().astype(str)
    unknown = set(np.unique(outcome)) - set(map(str, Outcome))
    if unknown:
        raise UserError(f'{path}: column "{_OUTCOME}" holds {min(unknown)[:40]!r}; restore it.')
    if not table.num_rows:
        return {}
    ids, first, owner = np.unique(
        table["problem_id"].to_numpy().astype(str), return_index=True, return_inverse=True
    )

    def count(mask: Any) -> list[int]:
        return np.bincount(owner[np.asarray(mask)], minlength=len(ids)).tolist()

    firsts = table.take(first)
    questions = zip(firsts["prompt"].to_pylist(), firsts["reference"].to_pylist(), strict=True)
    columns = (
        firsts["family"].to_pylist(),
        questions,
        count(np.ones(table.num_rows, dtype=bool)),
        count(np.isin(outcome, _VERDICTS)),
        count(outcome == str(Outcome.CORRECT)),
        count(table["finish_reason"].to_numpy() == "length"),
        count(outcome == str(Outcome.UNPARSEABLE)),
    )
    rows = zip(*columns, strict=True)
    return {str(name): ProblemCounts(*row) for name, row in zip(ids, rows, strict=True)}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found
