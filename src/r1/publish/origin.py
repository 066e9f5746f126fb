"""Where a checkpoint is from, read from its run's folder (torch-free): what its card tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from r1.config import Settings
from r1.files.shapes import open_shape, read_json
from r1.pipeline import graph
from r1.pipeline.recipe import schemas
from r1.publish.weights import evaluation_of, own_base, pipeline_of, stages_of
from r1.run_dir import inputs, read_evaluations
from r1.run_dir.checkpoint import step_name
from r1.run_dir.inputs import Input
from r1.run_dir.read import read_metrics
from r1.run_dir.shapes import StageEvaluation, Story
from r1.stages import registry
from r1.stages.protocol import MARK, ArtifactType

PRIVATE = ("base_folder", "cluster", "track", "base_url", "api_key_env", "device", "plugins")
"""Settings that tell of a machine or a company, and nothing of the model."""


@open_shape
class _Adapters(TypedDict, total=False):
    lora: dict[str, Any] | None


@open_shape
class _Sampled(TypedDict, total=False):
    max_new_tokens: int | None


@open_shape
class _Asked(TypedDict, total=False):
    system: str | None


@open_shape
class _CardRecipe(TypedDict, total=False):
    """recipe.json"""

    model: str
    base_folder: str
    template: _Asked | None
    learner: _Adapters | None
    sampling: _Sampled | None


@open_shape
class _StageTable(TypedDict, total=False):
    model: str
    like: str


@open_shape
class _Tables(TypedDict, total=False):
    stages: dict[str, _StageTable]


@open_shape
class _CardPipeline(TypedDict, total=False):
    """pipeline.json"""

    recipe: _Tables | None


class StageOrigin(NamedTuple):
    """A stage that the checkpoint comes from, in the order of running.

    outside: what it read from outside the run, with hashes.
    """

    name: str
    kind: str
    updates: int
    seeds: Mapping[str, int]
    outside: list[Input]


@dataclass(frozen=True)
class CheckpointOrigin:
    """Everything a card tells.

    base: the model that the first stage began with. stages: those that it comes from, itself last.
    settings: those of the last stage that differ from the defaults, by dotted names. figures: an
    evaluation's summary of these weights, {} without one. Of paths outside the recipe's folder the
    last part is told alone. base_is_folder: whether base names a folder of this machine, which may
    look like a hub id. Of adapters alone (`of_adapters`) base is the last stage's own model, "@one"
    for the checkpoint of stage one, and base_path what peft loads: a folder or a hub id.
    """

    run: Path
    kind: str
    step: int
    base: str
    recipe: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    stages: list[StageOrigin]
    figures: Mapping[str, Any]
    base_is_folder: bool = False
    base_path: str = ""

    @property
    def gives(self) -> ArtifactType:
        """What its stage makes: a model that writes, or a reward model."""
        known = registry.kinds().get(self.kind)
        return next(iter(known.outputs.values())) if known else ArtifactType.CHECKPOINT

    @property
    def lora(self) -> Mapping[str, Any] | None:
        """The settings of its adapters, if it was trained with any."""
        return (self.recipe.get("learner") or {}).get("lora")


def origin_of_checkpoint(run: Path, step: int) -> CheckpointOrigin:
    """Read the origin of a run's checkpoint; run: the folder with run.json, also one of a stage."""
    recipe = read_json(run / "recipe.json", {}, _CardRecipe)
    kind = str(read_json(run / "run.json", {}).get("kind"))
    stages = list(_stages(run, kind))
    base = _base(run, recipe)
    beside = Path(str(recipe.get("base_folder", ".")))
    return CheckpointOrigin(
        run=run,
        kind=kind,
        step=step,
        base=public_name(base),
        recipe=recipe,
        settings=flattened(_changed(kind, recipe)),
        versions=read_json(run / "versions.json", {}, dict[str, str]),
        stages=[*stages[:-1], stages[-1]._replace(updates=step)],
        figures=_figures(run, step),
        base_is_folder=Path(base).is_dir() or (beside / base).is_dir(),
    )


def of_adapters(origin: CheckpointOrigin) -> CheckpointOrigin:
    """Return the origin of the last stage's adapters alone, which belong to its own base.

    Raises UserError where that base was a checkpoint which is there no longer.
    """
    base = own_base(origin.run, origin.recipe)
    named = MARK + base.stage if base.stage else public_name(str(origin.recipe.get("model")))
    is_folder = Path(base.path).is_absolute()
    return replace(origin, base=named, base_path=base.path, base_is_folder=is_folder)


def _stages(run: Path, kind: str) -> Iterator[StageOrigin]:
    found = pipeline_of(run)
    if found is None:
        story = read_json(run / "lineage.json", {}, Story)
        yield _stage(run, run.name, kind, inputs.from_json(story.get("inputs", [])))
        return
    root, name = found
    above = _above(root, name)
    for entry in stages_of(root):
        if entry["name"] in above:
            marker: Any = graph.read_marker(root, entry["name"]) or {}
            outside = inputs.from_json(marker.get("external", []))
            yield _stage(root / entry["name"] / "run", entry["name"], entry["kind"], outside)


def _stage(run: Path, name: str, kind: str, outside: list[Input]) -> StageOrigin:
    seeds = read_json(run / "seeds.json", {}, dict[str, int])
    return StageOrigin(name, kind, len(read_metrics(run)), seeds, outside)


def _above(root: Path, name: str) -> set[str]:
    """Return a stage and all that it was made from."""
    found, waiting = set(), [name]
    while waiting:
        stage = waiting.pop()
        if stage not in found:
            found.add(stage)
            marker: Any = graph.read_marker(root, stage) or {"parents": {}}
            waiting += [parent["stage"] for parent in marker["parents"].values()]
    return found


def _base(run: Path, recipe: Mapping[str, Any]) -> str:
    """Return the base's name: the first stage that names a model outside the run."""
    own = pipeline_of(run)
    if own is not None:
        told = read_json(own[0] / "pipeline.json", {"stages": []}, _CardPipeline)
        tables = (told.get("recipe") or {}).get("stages", {})
        name, seen = own[1], set[str]()
        while name in tables and name not in seen:  # the chain of models down to the first
            seen.add(name)
            model = str(_with_like(tables, name).get("model", ""))
            if not model:
                break
            if not model.startswith(MARK):
                return model
            name = model.removeprefix(MARK).partition("/")[0]
    return str(recipe.get("model", "unknown"))


def _with_like(
    tables: Mapping[str, _StageTable], name: str, above: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """A stage's table over those that it is like, as far as they are there."""
    table = tables.get(name)
    if table is None or name in above:
        return {}
    return {**_with_like(tables, table.get("like", ""), (*above, name)), **table}


def _figures(run: Path, step: int) -> Mapping[str, Any]:
    """Return the evaluation of exactly these weights: an evaluation stage's, or the run's."""
    found = pipeline_of(run)
    file = evaluation_of(found[0], run / "checkpoints" / step_name(step)) if found else None
    if file is not None:
        result = read_json(file, {}, StageEvaluation)
        if result.get("overall"):
            overall = dict(result["overall"] or {})
            return {**overall, "by_family": result.get("families") or {}, **_sizes(result)}
    own = [each for each in read_evaluations(run) if each["step"] == step]
    return own[-1] if own else {}


def _sizes(result: StageEvaluation) -> dict[str, Any]:
    return {"k": result.get("num_samples"), "num_problems": result.get("num_problems")}


def _changed(kind: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that differ from their defaults; all, where today's schema has others."""
    schema: type[Settings] | None = schemas().get(kind)
    if schema is None:
        return dict(recipe)
    try:
        schema = schema.for_values(recipe)
        known = {key: value for key, value in recipe.items() if key in schema.model_fields}
        return schema.model_validate(known).model_dump(mode="json", exclude_defaults=True)
    except ValueError:  # pydantic's ValidationError is one
        return dict(recipe)


def flattened(values: Any, at: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return nested tables by dotted names, without private settings and what is not set."""
    if at and at[-1] in PRIVATE:
        return {}
    if isinstance(values, Mapping):
        items: Any = values.items()
    elif isinstance(values, list) and values and isinstance(values[0], Mapping):
        items = enumerate(values)
    else:
        return {} if values is None else {".".join(at): public_name(values)}
    found: dict[str, Any] = {}
    for key, value in items:
        found |= flattened(value, (*at, str(key)))
    return found


def public_name(source: Any) -> Any:
    """Return a path outside the recipe's folder without the folders of the machine it lies on."""
    if isinstance(source, str) and source.startswith(("/", "~", "..")):
        return source.rstrip("/").rpartition("/")[2]
    return source


def as_toml_line(name: str, value: Any) -> str:
    """Return one setting as `r1 run --set` takes it."""
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"
