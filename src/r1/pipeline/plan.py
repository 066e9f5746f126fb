"""`r1 plan RECIPE`: what a recipe costs, its use of memory and time, and the layouts that fit.

Torch-free; reads the recipe, existing data files, and a finished run's folder if one is named.
Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from r1.cluster.settings import ClusterSettings
from r1.errors import UserError
from r1.pipeline.demands import with_cluster
from r1.pipeline.estimates import asked_by, estimate_pipeline, estimate_recipe
from r1.pipeline.r1 import R1Recipe, StageSpec, specs_of
from r1.pipeline.recipe import Recipe
from r1.pipeline.run_r1 import build
from r1.plan.estimate import Context, Estimate, Given
from r1.plan.hardware import memory_here, on_this_cpu
from r1.plan.layout import gpus_asked_for
from r1.plan.layouts import LayoutTask, TriedLayout, plan_layouts
from r1.plan.lengths import Lengths, log_normal, measured
from r1.plan.memory import Memory, learner_memory
from r1.plan.model import ModelShape, UnknownModelError
from r1.plan.own import Own, plan_own
from r1.plan.recommend import Recommended, recommend, recommend_saving
from r1.plan.show import as_json, show, show_pipeline
from r1.plan.show_layouts import (
    choice_json,
    layout_notes,
    layout_table,
    memory_json,
    memory_table,
    own_json,
    own_memories,
    own_table,
    recommendation,
)
from r1.plan.show_stages import place_json, place_notes, place_table, stages_json, summary
from r1.plan.stages import Place, rewarded_place, sampling_place, tuned_place
from r1.plan.workload import prompt_length, response_length
from r1.stages import registry


class Sampled(NamedTuple):
    """The plan of a recipe that learns by sampling. own: the layout that it asks for."""

    task: LayoutTask
    own: Own
    choices: list[TriedLayout]
    recommended: Recommended | None


class RecipePlan(NamedTuple):
    """The plan of one recipe. memories: by owner. place: of a recipe that does not sample."""

    estimate: Estimate
    memories: dict[str, Memory]
    place: Place | None = None
    sampled: Sampled | None = None


def given_here(recipe: Recipe, path: Path, given: Given) -> Given:
    """Return the user's values; without a hardware, a recipe that would run on this machine's CPU
    is planned for the CPU. A CPU has the memory of this machine. path: the recipe's file."""
    if given.hardware is None and given.num_gpus is None:
        parts: list[Any] = [recipe]
        if isinstance(recipe, R1Recipe):
            specs = specs_of(recipe, str(path))
            parts += [spec.recipe for spec in specs]
        given = given._replace(hardware="CPU") if on_this_cpu(parts) else given
    on_cpu = (given.hardware or "").upper() == "CPU"
    return given._replace(memory_bytes=memory_here()) if on_cpu else given


def plan_command(
    recipe: Recipe,
    path: Path,
    console: Console,
    given: Given,
    lengths: Path | None = None,
) -> None:
    """Print the plan of a recipe; path: its file. lengths: a finished run's folder.

    Raises UserError for unknown hardware and for a run without rollouts.
    """
    _check_run(recipe, lengths)
    if isinstance(recipe, R1Recipe):
        blocks = _stage_blocks(*plan_stages(recipe, path, given))
    else:
        blocks = _blocks(plan_recipe(recipe, path.parent, given, lengths))
    for i, block in enumerate(blocks):
        for part in ([""] if i else []) + block:
            console.print(part)


def _blocks(plan: RecipePlan) -> Iterator[list[Any]]:
    """Yield the blocks to print, which empty lines separate."""
    machine = plan.estimate.machine
    memory = memory_table(plan.memories, machine is not None and machine.device == "cpu")
    estimate = plan.estimate
    yield [show(estimate)]
    if plan.place is not None:
        places = {estimate.name: plan.place}
        yield [place_table(places, [estimate]), *place_notes(places)]
    if plan.sampled is None:
        yield [memory]
        return
    task, own, choices, recommended = plan.sampled
    yield [own_table(task, own)]
    yield [memory]
    yield [*([] if choices[0].reason else [layout_table(choices)]), *layout_notes(choices)]
    ending = recommendation(own, recommended) if task.device == "cuda" else []
    ending.append(Text(f"assumed: {task.lengths.note}", style="dim"))
    yield ending


def _stage_blocks(estimates: list[Estimate], places: Mapping[str, Place]) -> Iterator[list[Any]]:
    """Yield a pipeline's stages, their places and, last, their totals."""
    yield [show_pipeline(estimates)]
    yield [place_table(places, estimates), *place_notes(places)]
    yield [summary(estimates, places)]


def plan_json(
    recipe: Recipe, path: Path, given: Given, lengths: Path | None = None
) -> dict[str, Any]:
    """Return the plan for programs. Raises UserError as plan_command does."""
    _check_run(recipe, lengths)
    if isinstance(recipe, R1Recipe):
        estimates, places = plan_stages(recipe, path, given)
        return {**as_json(estimates), **stages_json(estimates, places)}
    plan = plan_recipe(recipe, path.parent, given, lengths)
    values = {
        **as_json(plan.estimate),
        "memory": {name: memory_json(memory) for name, memory in plan.memories.items()},
        "place": place_json(plan.place) if plan.place else None,
    }
    if plan.sampled is None:
        return values
    task, own, choices, found = plan.sampled
    recommended = {"settings": found.settings, **own_json(found.own)} if found else None
    return values | {
        "own": own_json(own),
        "layouts": [choice_json(choice) for choice in choices],
        "recommended": recommended,
        "lengths": task.lengths.note,
    }


def plan_stages(
    recipe: R1Recipe, path: Path, given: Given
) -> tuple[list[Estimate], dict[str, Place]]:
    """Return the estimates of a pipeline's stages on their clusters, and the stages' places."""
    specs = clustered(build(recipe, path.parent, str(path)).specs, recipe.cluster)
    estimates = estimate_pipeline(specs, path.parent, given, recipe.cluster)
    models = {e.name: e.model for e in estimates if e.model is not None}
    places = {}
    for spec, estimate in zip(specs, estimates, strict=True):
        context = Context(path.parent, given, models, asked=asked_by(spec, recipe.cluster))
        place = _place(spec, estimate, recipe.cluster, context)
        if place is not None:
            places[spec.name] = place
    return estimates, places


def _place(
    spec: StageSpec, estimate: Estimate, cluster: ClusterSettings | None, context: Context
) -> Place | None:
    """Return the place of a stage with its own [cluster]; None if it computes nothing here.

    cluster: the whole recipe's.
    """
    shape, machine, kind = estimate.model, estimate.machine, registry.get(spec.kind)
    if shape is None or machine is None:
        return None
    if kind.learns_from == "rewards":
        return rewarded_place(_task(spec.recipe, context, shape))
    if kind.learns_from:
        return tuned_place(spec.recipe, shape, machine)
    samplers = kind.samplers(spec.recipe)
    if not samplers:
        return None
    return sampling_place(samplers[0].engine, samplers[0].max_new_tokens, shape, machine, cluster)


def clustered(specs: Sequence[StageSpec], cluster: ClusterSettings | None) -> list[StageSpec]:
    """Return the stages, each with its [cluster]."""
    return [spec._replace(recipe=with_cluster(spec.recipe, cluster)) for spec in specs]


def plan_recipe(
    recipe: Any, base_folder: Path, given: Given, run: Path | None = None
) -> RecipePlan:
    """Return the plan of a training recipe. run: a finished run's folder."""
    _check_run(recipe, run)
    found = None if run is None else measured(run, recipe.sampling.max_new_tokens)
    if found is not None and given.mean_response is None:
        given = given._replace(mean_response=found.mean)
    shape = _shape(recipe.model, Context(base_folder, given))
    context = Context(base_folder, given, asked=gpus_asked_for(recipe))
    estimate = estimate_recipe(recipe, base_folder, given)
    if _samples(recipe):
        return _sampled(recipe, context, estimate, found)
    machine = context.machine(shape)
    memories = {"one process": learner_memory(recipe, shape, device=machine.device)}
    ranks = machine.num_gpus if recipe.cluster is None else recipe.cluster.learner_ranks
    if ranks > 1:
        memories[f"a rank of {ranks}"] = learner_memory(recipe, shape, ranks, machine.device)
    return RecipePlan(estimate, memories, place=tuned_place(recipe, shape, machine))


def _sampled(
    recipe: Any, context: Context, estimate: Estimate, lengths: Lengths | None
) -> RecipePlan:
    """Plan a recipe that learns by sampling. lengths: of a finished run."""
    task = _task(recipe, context, context.shape(recipe.model), lengths)
    choices, own = plan_layouts(task), plan_own(task)
    alone = recipe.cluster is None and recipe.engine.kind == "embedded"
    memories = {"one process": own.choice.memory} if alone else own_memories(own)
    best = choices[0]
    if best.layout.ranks > 1:
        whose = f"a rank of {best.layout.ranks}" if best.reason else "the fastest layout's"
        memories[whose] = best.memory
    recommended = recommend(task, choices, own)
    if recommended is None and own.choice.reason:
        recommended = recommend_saving(task)
    return RecipePlan(estimate, memories, sampled=Sampled(task, own, choices, recommended))


def _shape(model: str, context: Context) -> ModelShape:
    try:
        return context.shape(model)
    except UnknownModelError as error:
        if not model.startswith("@"):
            raise
        remedy = 'only a recipe of kind "r1" has stages: plan that one, or name a model'
        raise UserError(f"model = {model!r}: {error}; {remedy}.") from None


def _task(
    recipe: Any, context: Context, shape: ModelShape, lengths: Lengths | None = None
) -> LayoutTask:
    """Return the task to plan. lengths: None assumes a log-normal."""
    given, limit = context.given, recipe.sampling.max_new_tokens
    if lengths is None:
        from_base = not recipe.model.startswith("@")
        mean = response_length(shape, limit, from_base, given.mean_response).tokens
        lengths = log_normal(mean, limit)
    prompt = prompt_length(shape, given.mean_prompt).tokens
    return LayoutTask(
        recipe, shape, context.machine(shape), prompt, lengths, context.teacher(recipe)
    )


def _check_run(recipe: Recipe, run: Path | None) -> None:
    if run is not None and not _samples(recipe):
        raise UserError("--lengths is for recipes that learn by sampling; leave it out.")


def _samples(recipe: Recipe) -> bool:
    """Whether it is one run that learns from rewards of its own samples."""
    if isinstance(recipe, R1Recipe):
        return False
    return registry.get(recipe.kind).learns_from == "rewards"
