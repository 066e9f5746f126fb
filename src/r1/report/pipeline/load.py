"""Read everything that the report needs from a pipeline's folder, once; it may be unfinished.

pipeline.json                  the recipe, and the stages in an order in which they can run
STAGE/STAGE.json               marker of a finished stage: outputs with counts and hashes
STAGE/run/                     the run folder of a stage that trains
STAGE/evaluation.json          what an evaluation found; completions.parquet beside it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from r1.errors import UserError
from r1.files.json_text import FormatError
from r1.files.shapes import RESTORE, fitted, read_json
from r1.intervals import Interval
from r1.report.load import RunData, load_run
from r1.run_dir.read import is_run
from r1.run_dir.shapes import Bounds, PipelineFile, StageEvaluation, StageMark

PIPELINE, MARKER = "pipeline.json", "STAGE.json"
BASE = "base"
REWARD_MODEL, RESULTS = "reward_model", "results"
"""Types of what stages give."""
_TITLES = {
    BASE: "Base", "r1_zero": "R1-Zero", "cold_start": "Cold start", "dev1": "Dev1", "dev2": "Dev2",
    "dev2_plain": "Dev2 plain",
    "r1_zero_language": "R1-Zero, language reward", "rejection": "Rejection sampling",
    "mixture": "Mixture", "dev3": "Dev3", "helpful": "Helpfulness model",
    "harmless": "Harmlessness model", "r1": "R1", "student_qwen": "Qwen student",
    "student_llama": "Llama student", "student_rl": "RL-only student",
}  # fmt: skip


class Edge(NamedTuple):
    """An input: the setting that names it, and the output of another stage."""

    field: str
    stage: str
    output: str


class Output(NamedTuple):
    """An output of a stage; counts and sha256 are empty until it is done."""

    type: str
    counts: Mapping[str, float]
    sha256: str


@dataclass(frozen=True, slots=True)
class EvaluationResults:
    """The figures of an evaluation: pass_at_1, cons_at_k, format, language, mean_length, ...

    folder holds completions.parquet; families are of reasoning; general may be {}.
    """

    folder: Path
    of: str
    title: str
    about: Mapping[str, Any]  # template, num_samples, num_problems, num_parameters, seconds, ...
    overall: Mapping[str, Interval]
    families: Mapping[str, Mapping[str, Interval]]
    family_sizes: Mapping[str, int]
    general: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class StageData:
    """A stage. state: "done", "stale", "begun" or "to do".

    label: its kind in a word for people. learns_from: of a stage that trains, "rewards", "examples"
    or "preferences".
    source: the model it starts from where that is none of the pipeline's ("tiny").
    evaluates: of an evaluation, the stage whose checkpoint it measures. is_read: another stage
    learns from its output.
    """

    name: str
    kind: str
    label: str
    title: str
    state: str
    learns_from: str | None = None
    inputs: tuple[Edge, ...] = ()
    outputs: Mapping[str, Output] = field(default_factory=dict)
    seconds: float | None = None
    source: str | None = None
    evaluates: str | None = None
    is_read: bool = False
    run: RunData | None = None
    evaluation: EvaluationResults | None = None

    @property
    def makes_reward_model(self) -> bool:
        """Whether its output is a reward model."""
        return REWARD_MODEL in (output.type for output in self.outputs.values())

    @property
    def measures(self) -> bool:
        """Whether it evaluates a checkpoint, and makes nothing to learn from."""
        return not self.is_read and RESULTS in (output.type for output in self.outputs.values())


@dataclass(frozen=True, slots=True)
class PipelineData:
    """A pipeline as read from its folder; stages are in the order in which they run."""

    folder: Path
    kind: str
    recipe: Mapping[str, Any]
    stages: Mapping[str, StageData]

    @property
    def done(self) -> bool:
        """Whether every stage is done with its current inputs."""
        return all(stage.state == "done" for stage in self.stages.values())

    @property
    def evaluations(self) -> dict[str, EvaluationResults]:
        """Return evaluations by evaluated stage; of several, the last one, with the scores of
        benchmarks beside it."""
        found: dict[str, EvaluationResults] = {}
        for stage in self.stages.values():
            if (item := stage.evaluation) is not None:
                found[item.of] = _joined(found.get(item.of), item)
        return found

    def title(self, stage: str) -> str:
        """Return a stage's display name."""
        if stage in self.stages and self.stages[stage].title != stage:
            return self.stages[stage].title
        evaluation = self.evaluations.get(stage)
        if evaluation is not None and evaluation.title not in ("", stage):
            return evaluation.title
        return _TITLES.get(stage, stage)


def is_pipeline(folder: Path) -> bool:
    """Whether `folder` holds a pipeline."""
    return (folder / PIPELINE).is_file()


def load_pipeline(folder: Path) -> PipelineData:
    """Read a pipeline's folder. Raises UserError for an invalid file."""
    told = read_json(folder / PIPELINE, shape=PipelineFile)
    if told is None:
        raise UserError(f"{folder / PIPELINE} names no stages; run the recipe again to restore it.")
    recipe = told.get("recipe") or {}
    names = [one["name"] for one in told["stages"]]
    for place, one in enumerate(told["stages"]):
        below = {source["stage"] for source in one.get("inputs", {}).values()} - {*names[:place]}
        if below or one["name"] in names[:place]:
            raise UserError(
                f"{folder / PIPELINE}: stage {one['name']!r} occurs twice, or reads a stage that "
                "does not precede it; run the recipe again to restore it."
            )
    markers = {name: read_json(folder / name / MARKER, shape=StageMark) for name in names}
    read = {s["stage"] for one in told["stages"] for s in one.get("inputs", {}).values()}
    stages: dict[str, StageData] = {}
    for one in told["stages"]:
        state = _state(folder, one, markers, stages)
        is_read = one["name"] in read
        stages[one["name"]] = _stage(folder, one, markers[one["name"]], state, recipe, is_read)
    return PipelineData(folder, str(told.get("kind", "r1")), recipe, stages)


def _state(
    folder: Path,
    one: Mapping[str, Any],
    markers: Mapping[str, Any],
    above: Mapping[str, StageData],
) -> str:
    """Return a stage's state from the folder alone, without comparing the recipe."""
    marker = markers[one["name"]]
    if marker is None:
        return "begun" if (folder / one["name"]).exists() else "to do"
    for name, source in one.get("inputs", {}).items():
        parent = markers.get(source["stage"])
        given = (parent or {}).get("outputs", {}).get(source["output"], {}).get("sha256")
        if given is None or above[source["stage"]].state != "done":
            return "stale"
        if marker.get("inputs", {}).get(name) != given:
            return "stale"
    return "done"


def _stage(
    folder: Path,
    one: Mapping[str, Any],
    marker: Mapping[str, Any] | None,
    state: str,
    recipe: Mapping[str, Any],
    is_read: bool,
) -> StageData:
    name, kind = one["name"], one["kind"]
    place = folder / name
    inputs = tuple(Edge(f, s["stage"], s["output"]) for f, s in one.get("inputs", {}).items())
    model = next((edge.stage for edge in inputs if edge.field.split(".")[-1] == "model"), None)
    measures = not is_read and RESULTS in one.get("outputs", {}).values()
    evaluation = _evaluation(place, model or BASE) if measures else None
    evaluates = None
    if measures:
        evaluates = evaluation.of if evaluation else model or BASE
    return StageData(
        name=name,
        kind=kind,
        label=str(one.get("label") or kind),
        title=str(one.get("title") or name),
        state=state,
        learns_from=one.get("learns_from"),
        inputs=inputs,
        outputs=_outputs(one, marker),
        seconds=None if marker is None else marker.get("seconds"),
        source=None if model else _source(name, recipe.get("stages") or {}),
        evaluates=evaluates,
        is_read=is_read,
        run=load_run(place / "run") if is_run(place / "run") else None,
        evaluation=evaluation,
    )


def _outputs(one: Mapping[str, Any], marker: Mapping[str, Any] | None) -> dict[str, Output]:
    made = (marker or {}).get("outputs", {})
    found = {}
    for name, kind in one.get("outputs", {}).items():
        given = made.get(name, {})
        counts = {k: v for k, v in given.get("counts", {}).items() if isinstance(v, int | float)}
        found[name] = Output(str(kind), counts, str(given.get("sha256") or ""))
    return found


def _source(name: str, tables: Mapping[str, Any]) -> str | None:
    """Return the model named in a stage's own table, or in the stage it is like."""
    seen: set[str] = set()
    while isinstance(tables.get(name), Mapping) and name not in seen:
        seen.add(name)
        model = tables[name].get("model")
        if isinstance(model, str):
            return None if model.startswith("@") else model
        name = str(tables[name].get("like", ""))
    return None


def _joined(earlier: EvaluationResults | None, later: EvaluationResults) -> EvaluationResults:
    """Two evaluations of a checkpoint: one that has scores of benchmarks alone is added to the
    other; of others the later stands."""
    if earlier is None or bool(earlier.overall) == bool(later.overall):
        return later
    whole = earlier if earlier.overall else later
    return replace(
        whole,
        families={**earlier.families, **later.families},
        family_sizes={**earlier.family_sizes, **later.family_sizes},
    )


def _evaluation(place: Path, of: str) -> EvaluationResults | None:
    """of: the stage whose checkpoint it is, where the file does not say."""
    told = read_json(place / "evaluation.json", shape=StageEvaluation)
    if told is None:
        return None
    nested = ("overall", "families", "general", "stage", "title")
    families = told.get("families") or {}
    measured = {"overall": told.get("overall") or {}, "general": told.get("general") or {}}
    measured |= {f"families.{name}": values for name, values in families.items()}
    try:
        found = {part: _intervals(part, values) for part, values in measured.items()}
        sizes = {name: fitted(v.get("num_problems") or 0, int) for name, v in families.items()}
    except FormatError as fault:
        raise UserError(
            f"{place / 'evaluation.json'} cannot be used ({fault}); {RESTORE}."
        ) from None
    return EvaluationResults(
        folder=place,
        of=str(told.get("stage") or of),
        title=str(told.get("title") or ""),
        about={key: value for key, value in told.items() if key not in nested},
        overall=found["overall"],
        families={name: found[f"families.{name}"] for name in families},
        family_sizes=sizes,
        general=found["general"],
    )


def _intervals(part: str, values: Mapping[str, Any]) -> dict[str, Interval]:
    """Return the metrics that were measured; a value without bounds is its own interval."""
    found = {}
    for name, item in values.items():
        if isinstance(item, Mapping) and item.get("value") is not None:
            fitted({part: {name: item}}, dict[str, dict[str, Bounds]])
            value = float(item["value"])
            low, high = item.get("low"), item.get("high")
            found[name] = Interval(
                value, value if low is None else float(low), value if high is None else float(high)
            )
    return found
