"""Run a pipeline: stages in order, each once, stale after a change in its inputs.

    for stage in order:
        if not done: run it in RUN/stage, then write its marker        (graph.py)

    RUN/pipeline.json       the recipe and the graph
    RUN/<stage>/STAGE.json  what the stage gave, from what, with hashes
    RUN/redo.json           while `--from` is under way: what it still has to do again

After a kill at any moment the same command resumes: finished stages stay, the current one resumes
inside. The outputs of a changed stage are renamed, never removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.cluster.settings import ClusterSettings
from r1.config import as_now, dump, validate
from r1.data.external import inputs_of
from r1.errors import UserError, prefixed
from r1.files.shapes import read_json
from r1.pipeline import graph, references
from r1.pipeline.demands import compare, stage_demands, with_cluster
from r1.pipeline.graph import Stage, StageState, Standing
from r1.pipeline.limits import check_limits
from r1.pipeline.progress import PipelineEvents
from r1.pipeline.r1 import R1Recipe, StageSpec, specs_of
from r1.pipeline.sandboxed import leave_functions_out
from r1.run_dir import atomic, lock
from r1.run_dir.foreign import held_in, refuse_foreign
from r1.run_dir.shapes import PipelineFile
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.protocol import Artifact, StageContext, StageProgress

PIPELINE, REDO = "pipeline.json", "redo.json"


class Pipeline(NamedTuple):
    """A recipe's stages in order, as specifications and as nodes of the graph."""

    recipe: R1Recipe
    specs: list[StageSpec]
    stages: list[Stage]
    notices: list[str]


def build(
    recipe: R1Recipe,
    base_folder: Path,
    origin: str,
    progress: Callable[[StageSpec], StageProgress] = lambda spec: StageProgress(None, None),
) -> Pipeline:
    """Build the graph of a recipe. Raises UserError for any fault of the recipe itself."""
    recipe, notices = leave_functions_out(recipe)
    specs = specs_of(recipe, origin)
    stages = [_stage(spec, base_folder, progress, recipe.cluster) for spec in specs]
    graph.check(stages)
    return Pipeline(recipe, specs, stages, notices)


def _stage(
    spec: StageSpec,
    base_folder: Path,
    progress: Callable[[StageSpec], StageProgress],
    cluster: ClusterSettings | None,
) -> Stage:
    kind = registry.get(spec.kind)

    def run(folder: Path, inputs: Mapping[str, Path]) -> Mapping[str, Artifact]:
        given = spec.recipe.model_dump(mode="json", exclude_unset=True)
        values = references.replace(given, lambda field: str(inputs[field].resolve()))
        own = validate(values, type(spec.recipe), f"stage {spec.name}")
        settings = with_cluster(own, cluster)
        try:
            context = StageContext(base_folder, folder, progress(spec), cluster)
            return kind.run(settings, context)
        except UserError as error:
            raise prefixed(error, f"stage {spec.name}") from None

    settings = dump(spec.recipe)
    return Stage(
        name=spec.name,
        settings={"kind": spec.kind, **settings},
        outputs=kind.outputs,
        run=run,
        inputs=spec.inputs,
        input_types=spec.input_types,
        may_change=kind.may_change,
        as_now=partial(as_now, schema=type(spec.recipe)),
        external=partial(inputs_of, {**settings, **_plugin_of(spec)}, base_folder),
    )


def _plugin_of(spec: StageSpec) -> dict[str, list[str]]:
    """Return the plugin module of a stage's kind, in the form of the settings."""
    plugin = registry.plugin_of(spec.kind)
    return {"plugins": [plugin]} if plugin else {}


def standings(pipeline: Pipeline, out: Path) -> list[Standing]:
    """Return the state of every stage in the folder."""
    return graph.stand(pipeline.stages, out)


def run_pipeline(
    recipe: R1Recipe,
    base_folder: Path,
    out: Path,
    progress: PipelineEvents,
    *,
    first: str | None = None,
    only: str | None = None,
) -> Path:
    """Run unfinished stages into the folder `out`, or resume there; return it.

    first: do this stage and all below it again. only: run this stage alone; what it reads must be
    done. Raises UserError for the user's mistakes, before anything runs where they can be seen.
    """
    numbers: dict[str, int] = {}

    def told(spec: StageSpec) -> StageProgress:
        return progress.stage(spec.name, spec.title, numbers[spec.name], len(numbers))

    pipeline = build(recipe, base_folder, str(out), told)
    names = [stage.name for stage in pipeline.stages]
    numbers.update({name: number for number, name in enumerate(names, start=1)})
    for name in (first, only):
        if name is not None and name not in names:
            raise UserError(f"no stage {name!r}; stages: {', '.join(names)}.")
    for notice in pipeline.notices:
        progress.warn(notice)
    waiting = [s.stage.name for s in standings(pipeline, out) if s.state is not StageState.DONE]
    checked = {only} if only else {*waiting, *(_below(pipeline, first) if first else ())}
    _check(pipeline, checked, base_folder)
    _claim(out)
    lock.acquire(out)
    try:
        _describe(out, pipeline)
        if first is not None:
            _put_aside(pipeline, first, out)
        above: dict[str, Standing] = {}
        for stage in pipeline.stages:
            standing = graph.stand_below(stage, above, out)
            if standing.state is not StageState.DONE and (only is None or stage.name == only):
                _run(stage, above, out, progress, alone=only is not None)
                standing = graph.stand_below(stage, above, out)
            above[stage.name] = standing
        (out / REDO).unlink(missing_ok=True)
    finally:
        lock.release(out)
    return out


def _run(
    stage: Stage, above: Mapping[str, Standing], out: Path, progress: PipelineEvents, alone: bool
) -> None:
    for source in stage.inputs.values():
        state = above[source.stage].state
        if state is not StageState.DONE:
            assert alone, f"{source.stage} runs before {stage.name}"
            raise UserError(
                f"stage {stage.name} reads {source.stage}, which is {state}; "
                f"run it first (--only {source.stage}, or leave --only out)."
            )
    marker = graph.run_stage(stage, out, progress.warn)
    counts = next(iter(marker["outputs"].values()))["counts"]
    progress.staged(stage.name, marker["seconds"], counts)


def _check(pipeline: Pipeline, names: set[str], base_folder: Path) -> None:
    """Check everything about the stages that can be checked before any of them runs."""
    compare(stage_demands(pipeline.specs, names, pipeline.recipe.cluster, base_folder))
    check_limits(pipeline.specs, names, base_folder)
    cache = CheckCache(base_folder, {spec.name: spec.recipe for spec in pipeline.specs})
    for spec in pipeline.specs:
        if spec.name in names:
            try:
                registry.get(spec.kind).check(spec.recipe, cache)
            except UserError as error:
                raise prefixed(error, f"stage {spec.name}") from None


def _claim(out: Path) -> None:
    """Create the folder. Raises UserError if it holds something else."""
    held = held_in(out, "the run")
    if not is_pipeline(out):
        refuse_foreign(out, held, "not a run of stages")
    atomic.make_folder(out)


def refuse_other_stages(recipe: R1Recipe, out: Path) -> None:
    """Raise UserError for a folder of which no stage is the recipe's."""
    told = read_json(out / PIPELINE, None, PipelineFile)
    names = [] if told is None else [stage["name"] for stage in told["stages"]]
    if names and not set(names) & set(recipe.stages):
        raise UserError(
            f"{out} is a run of other stages ({', '.join(names[:3])}{', ...' * (len(names) > 3)}). "
            "Nothing was changed; give another --out."
        )


def _describe(out: Path, pipeline: Pipeline) -> None:
    """Write pipeline.json."""
    stages = [
        {
            "name": spec.name,
            "kind": spec.kind,
            "title": spec.title,
            "label": registry.get(spec.kind).label,
            "learns_from": registry.get(spec.kind).learns_from,
            "inputs": {field: source._asdict() for field, source in spec.inputs.items()},
            "outputs": {name: str(type_) for name, type_ in stage.outputs.items()},
        }
        for spec, stage in zip(pipeline.specs, pipeline.stages, strict=True)
    ]
    value = {"kind": "r1", "recipe": dump(pipeline.recipe), "stages": stages}
    atomic.write_json(out / PIPELINE, value)


def _put_aside(pipeline: Pipeline, first: str, out: Path) -> None:
    """Rename a stage and all below it, once: a killed `--from` resumes."""
    if (read_json(out / REDO) or {}).get("from") == first:
        return
    for name in _below(pipeline, first):
        if (out / name).exists():
            atomic.put_aside(out / name)
    atomic.write_json(out / REDO, {"from": first})


def _below(pipeline: Pipeline, first: str) -> Sequence[str]:
    """Return a stage and all stages that depend on it."""
    found = [first]
    for stage in pipeline.stages:
        if any(source.stage in found for source in stage.inputs.values()):
            found.append(stage.name)
    return found


def is_pipeline(folder: Path) -> bool:
    """Whether a folder holds a pipeline's run."""
    return (folder / PIPELINE).is_file()


def last_seconds(out: Path, name: str) -> float | None:
    """Return the duration of a stage's last run, here or in a renamed folder."""
    folders = [out / name, *sorted(out.glob(f"{name}.old-*"), reverse=True)]
    markers: list[Any] = [graph.read_marker(folder.parent, folder.name) for folder in folders]
    return next((marker["seconds"] for marker in markers if marker), None)
