"""What a finished stage measured: a value for every held-out problem, and what it cost.

    a run of reinforcement learning   run/evaluations/step-N.parquet
    an evaluation                     completions.parquet
    another kind with results         values.json: {values: {measure: {problem: value}}, of_run,
                                      lines: {chart: {line: [[x, y]]}}}

    area of a problem    pass@1 over the run's evaluations, trapezoids over steps / all steps

The cost counts generated tokens of training, of searches (branches thrown away included) and of
sampled data (dropped samples and continuations of labelled steps included; those of evaluations are
the measure, and the same for all), trained tokens (every pass counted), seconds of the loop or of
the stage, and the state that a learner keeps: weights, moments, reference and critic, as its last
checkpoint holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NotRequired

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from r1.claims.settings import GENERATED
from r1.curation.card import CARD_JSON, CardFile
from r1.errors import UserError
from r1.files.shapes import open_shape, read_json
from r1.pipeline.graph import read_marker
from r1.report.pipeline.problems import ProblemTable, read_problem_table
from r1.run_dir.checkpoint import find_checkpoint, numbered
from r1.run_dir.evaluation import COMPLETIONS
from r1.run_dir.read import (
    evaluation_path,
    is_run,
    read_metrics,
    read_timings,
    rollout_steps,
    rollouts_path,
)
from r1.run_dir.stored import read_columns

RUN, EVALUATIONS = "run", "evaluations"
VALUES = "values.json"
AREA, PASS_AT_1 = "area", "pass_at_1"


_Point = Annotated[list[float], Field(min_length=2, max_length=2)]


@open_shape
class StoredValues(TypedDict):
    """values.json"""

    values: dict[str, dict[str, float]]
    of_run: dict[str, float]
    unjudged: NotRequired[float]
    lines: NotRequired[dict[str, dict[str, list[_Point]]]]


@open_shape
class MeasuredRecipe(TypedDict, total=False):
    """recipe.json"""

    reward_models: dict[str, Any]


class RunCost(NamedTuple):
    """Cost of one stage. state_bytes: 0 where nothing is trained."""

    generated_tokens: int
    trained_tokens: int
    seconds: float
    state_bytes: int

    def plus(self, other: RunCost) -> RunCost:
        """Return the cost of both; of the states the larger."""
        sums = [a + b for a, b in zip(self[:3], other[:3], strict=True)]
        return RunCost(int(sums[0]), int(sums[1]), sums[2], max(self[3], other[3]))


NO_COST = RunCost(0, 0, 0.0, 0)


class MeasuredStage(NamedTuple):
    """The figures of a stage: values[measure][problem] at its end, curve[step][problem] of pass@1,
    and of_run[measure]. unjudged: the largest share of an evaluation's samples whose verifier gave
    no verdict. lines[chart][line]: points that the stage draws itself."""

    values: Mapping[str, Mapping[str, float]]
    curve: Mapping[int, Mapping[str, float]]
    lengths: Mapping[int, float]
    of_run: Mapping[str, float]
    unjudged: float = 0.0
    lines: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]] = {}


def measure_stage(folder: Path) -> MeasuredStage:
    """Read what a finished stage measured. Raises UserError for damaged files."""
    run = folder / RUN
    if (told := read_json(folder / VALUES, shape=StoredValues)) is not None:
        unjudged, lines = told.get("unjudged", 0.0), told.get("lines", {})
        return MeasuredStage(told["values"], {}, {}, told["of_run"], unjudged, lines)
    if not is_run(run):
        table = read_problem_table(folder / COMPLETIONS)
        return MeasuredStage(table.values, {}, {}, {}, table.unjudged)
    steps = [s for s in numbered(run / EVALUATIONS, ".json") if evaluation_path(run, s).exists()]
    if not steps:
        raise UserError(f"{run} holds no evaluation; remove {folder} and give the same command.")
    tables = {step: read_problem_table(evaluation_path(run, step)) for step in steps}
    curve = {step: table.of(PASS_AT_1) for step, table in tables.items()}
    last: ProblemTable = tables[steps[-1]]
    values = {**last.values, AREA: areas(curve)}
    lengths = {s: float(np.mean(list(t.of("mean_length").values()))) for s, t in tables.items()}
    cost = cost_of(folder)
    of_run = {name: float(getattr(cost, name)) for name in RunCost._fields if name != "seconds"}
    gains = [gain for name in _reward_models(run) if (gain := gain_of(read_metrics(run), name))]
    if gains:
        of_run["proxy_gain"] = gains[0]
    explained = [row["explained_variance"] for row in read_metrics(run) if _has(row)]
    if explained:
        of_run["explained_variance"] = float(np.mean(explained[len(explained) // 2 :]))
    unjudged = max(table.unjudged for table in tables.values())
    return MeasuredStage(values, curve, lengths, of_run, unjudged)


def _searched(folder: Path) -> int:
    """Tokens that a search generated for all its problems together."""
    told = read_json(folder / VALUES, shape=StoredValues)
    if told is None or GENERATED not in told["of_run"]:
        return 0
    problems = max((len(each) for each in told["values"].values()), default=0)
    return round(told["of_run"][GENERATED] * problems)


def _sampled(folder: Path) -> int:
    """Tokens of all that was drawn for a data set."""
    card = read_json(folder / CARD_JSON, shape=CardFile)
    return card["total"].get("sampled_tokens", 0) if card is not None else 0


def _seconds(folder: Path) -> float:
    """How long a stage that does not train took; 0 before it has ended."""
    marker = read_marker(folder.parent, folder.name)
    return float(marker["seconds"]) if marker is not None else 0.0


def _reward_models(run: Path) -> list[str]:
    recipe = read_json(run / "recipe.json", {}, MeasuredRecipe)
    return [f"reward/{name}" for name in recipe.get("reward_models", {})]


def gain_of(metrics: Sequence[Mapping[str, float]], name: str) -> float | None:
    """Return how much a metric's mean rose from a run's first quarter to its last."""
    values = [row[name] for row in metrics if row.get(name) is not None]
    quarter = len(values) // 4
    return float(np.mean(values[-quarter:]) - np.mean(values[:quarter])) if quarter else None


def _has(row: Mapping[str, float | None]) -> bool:
    return row.get("explained_variance") is not None


def areas(curve: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Return each problem's mean of pass@1 over the steps, by trapezoids; {} for one evaluation."""
    steps = sorted(curve)
    if len(steps) < 2:
        return {}
    width = np.diff(steps)
    found = {}
    for problem in set.intersection(*(set(curve[step]) for step in steps)):
        value = np.array([curve[step][problem] for step in steps])
        found[problem] = float(((value[1:] + value[:-1]) / 2 * width).sum() / width.sum())
    return dict(sorted(found.items()))


def cost_of(folder: Path) -> RunCost:
    """Return the cost of a stage so far; none of one that has not begun."""
    run = folder / RUN
    if not is_run(run):
        generated = _searched(folder) + _sampled(folder)
        return NO_COST._replace(generated_tokens=generated, seconds=_seconds(folder))
    generated = 0
    for step in rollout_steps(run):
        tokens = read_columns(rollouts_path(run, step), ["num_tokens"])["num_tokens"]
        generated += int(np.sum(tokens.to_numpy()))
    trained = sum(
        int(row.get(name) or 0)
        for row in read_metrics(run)
        for name in ("tokens_trained", "tokens_learnt")
    )
    timings = read_timings(run)
    seconds = sum(
        float(row.get(name) or 0.0)
        for row in timings
        for name in ("seconds/total", "seconds/evaluate")
    )
    files = [p for p in find_checkpoint(run).iterdir() if p.suffix in (".safetensors", ".pt")]
    return RunCost(generated, trained, seconds, sum(file.stat().st_size for file in files))
