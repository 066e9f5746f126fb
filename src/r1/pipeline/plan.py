"""`r1 plan RECIPE`: what a recipe costs, where its memory and time go, on which layouts it fits.

Torch-free; reads the recipe, what data files are there, and a finished run's
folder where one is named. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from r1.cluster.settings import ClusterSettings
from r1.config import read_toml
from r1.errors import UserError
from r1.pipeline.demands import with_cluster
from r1.pipeline.estimates import asked_by, estimate_pipeline, estimate_recipe
from r1.pipeline.r1 import R1Recipe, StageSpec, specs_of
from r1.pipeline.recipe import Recipe
from r1.pipeline.run_r1 import build
from r1.plan.estimate import Context, Estimate, Given
from r1.plan.hardware import on_this_cpu
from r1.plan.layout import Layout, gpus_asked_for
from r1.plan.layouts import Choice, Task, plan_layouts, plant_of
from r1.plan.lengths import Lengths, log_normal, measured
from r1.plan.memory import Kernels, Memory, memory_of
from r1.plan.model import ModelShape, UnknownModelError
from r1.plan.own import Own, plan_own
from r1.plan.recommend import Recommended, recommend
from r1.plan.show import as_json, show, show_pipeline
from r1.plan.show_layouts import (
    Simulated,
    choice_json,
    comparison_json,
    comparison_text,
    gain,
    layout_notes,
    layout_table,
    memory_json,
    memory_table,
    simulated_json,
    simulation_table,
)
from r1.plan.show_own import (
    own_json,
    own_memories,
    own_table,
    recommendation,
    recommended_json,
)
from r1.plan.show_stages import (
    place_json,
    place_notes,
    place_table,
    stages_json,
    summary,
)
from r1.plan.simulate import (
    ONE_STEP_OFF,
    SYNCHRONOUS,
    first_finished,
    partial_rollouts,
    simulate,
    whole_batches,
)
from r1.plan.stages import Place, rewarded_place, sampling_place, tuned_place
from r1.plan.timings import Comparison, compare
from r1.plan.workload import prompt_length, response_length
from r1.stages import registry

MODES = (SYNCHRONOUS, ONE_STEP_OFF, whole_batches(4), partial_rollouts(4), first_finished(4))
STEPS, WARM_UP = 4, 2


class Plan(NamedTuple):
    """What is known of one recipe. place: where one runs that samples nothing. own: the layout that
    it asks for itself. memories: (whose, parts). run: of which `comparison` speaks."""

    estimate: Estimate
    place: Place | None = None
    task: Task | None = None
    own: Own | None = None
    recommended: Recommended | None = None
    memories: tuple[tuple[str, Memory], ...] = ()
    lengths: Lengths | None = None
    choices: tuple[Choice, ...] = ()
    simulated: tuple[Simulated, ...] = ()
    run: str = ""
    comparison: Comparison | None = None


def given_here(recipe: Recipe, path: Path, given: Given) -> Given:
    """What the user says; who says nothing of hardware, of a recipe that would run on this
    machine's CPU, means the CPU. path: the recipe's file."""
    if given.hardware is not None or given.num_gpus is not None:
        return given
    parts: list[Any] = [recipe]
    if isinstance(recipe, R1Recipe):
        specs = specs_of(recipe, str(path))
        parts += [spec.recipe for spec in specs]
    return given._replace(hardware="CPU") if on_this_cpu(parts) else given


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
    if isinstance(recipe, R1Recipe):
        _check_run(recipe, lengths)
        _print_stages(*plan_stages(recipe, path, given), console)
        return
    plan = plan_recipe(recipe, path.parent, given, lengths)
    console.print(show(plan.estimate))
    if plan.task is not None and plan.own is not None:
        console.print()
        console.print(own_table(plan.task, plan.own))
    if plan.place is not None:
        places = {plan.estimate.name: plan.place}
        console.print()
        console.print(place_table(places, [plan.estimate]))
        for note in place_notes(places):
            console.print(note)
    if plan.memories:
        console.print()
        console.print(memory_table(plan.memories))
    if plan.choices:
        console.print()
        if not plan.choices[0].reason:
            console.print(layout_table(plan.choices))
        for note in layout_notes(plan.choices):
            console.print(note)
    if plan.simulated:
        console.print()
        console.print(simulation_table(plan.simulated))
        console.print(gain(plan.simulated))
    if plan.task is not None and plan.own is not None and plan.task.device == "cuda":
        console.print()
        for text in recommendation(plan.task, plan.own, plan.recommended, read_toml(path)):
            console.print(text)
    if plan.lengths:
        console.print(Text(f"assumed: {plan.lengths.note}", style="dim"))
    if plan.comparison:
        console.print(comparison_text(plan.run, plan.comparison))


def _print_stages(estimates: list[Estimate], places: Mapping[str, Place], console: Console) -> None:
    """A pipeline: its stages, where they run, and their sums last, where a terminal shows them."""
    console.print(show_pipeline(estimates))
    console.print()
    console.print(place_table(places, estimates))
    for note in place_notes(places):
        console.print(note)
    console.print()
    console.print(summary(estimates, places))


def plan_json(
    recipe: Recipe, path: Path, given: Given, lengths: Path | None = None
) -> dict[str, Any]:
    """The same for programs. Raises UserError as plan_command does."""
    if isinstance(recipe, R1Recipe):
        _check_run(recipe, lengths)
        estimates, places = plan_stages(recipe, path, given)
        return {**as_json(estimates), **stages_json(estimates, places)}
    plan = plan_recipe(recipe, path.parent, given, lengths)
    return {
        **as_json(plan.estimate),
        "place": place_json(plan.place) if plan.place else None,
        "own": own_json(plan.own) if plan.own else None,
        "recommended": recommended_json(plan.recommended),
        "memory": {name: memory_json(memory) for name, memory in plan.memories},
        "lengths": plan.lengths.note if plan.lengths else None,
        "layouts": [choice_json(choice) for choice in plan.choices],
        "simulated": simulated_json(plan.simulated),
        "run": comparison_json(plan.comparison) if plan.comparison else None,
    }


def plan_stages(
    recipe: R1Recipe, path: Path, given: Given
) -> tuple[list[Estimate], dict[str, Place]]:
    """The estimates of a pipeline's stages, each on the cluster that it will run on, and where
    those that compute have their place."""
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
    """Of a stage with its own [cluster] in it; None where it computes nothing here.

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
    """The stages with the [cluster] that each will run on."""
    return [spec._replace(recipe=with_cluster(spec.recipe, cluster)) for spec in specs]


def plan_recipe(recipe: Any, base_folder: Path, given: Given, run: Path | None = None) -> Plan:
    """The plan of a recipe of a kind that trains."""
    _check_run(recipe, run)
    found = None if run is None else measured(run, recipe.sampling.max_new_tokens)
    if found is not None and given.mean_response is None:
        given = given._replace(mean_response=found.mean)
    shape = _shape(recipe.model, Context(base_folder, given))
    context = Context(base_folder, given, asked=gpus_asked_for(recipe))
    estimate = estimate_recipe(recipe, base_folder, given)
    machine = context.machine(shape)
    device = machine.device
    memories = [("one process", memory_of(recipe, shape, kernels=Kernels(device)))]
    ranks = machine.num_gpus if recipe.cluster is None else recipe.cluster.learner_ranks
    if ranks > 1 and getattr(recipe.learner, "lora", None) is None:
        sharded = Layout(ranks, replicas=0, shared=False)
        memory = memory_of(recipe, shape, sharded, Kernels(device))
        memories.append((f"a rank of {ranks}", memory))
    if not _samples(recipe):
        return Plan(estimate, tuned_place(recipe, shape, machine), memories=tuple(memories))
    comparison = None
    if run is not None and (run / "timings.jsonl").exists():
        comparison = compare(run, recipe.grpo.group_size)
    task = _task(recipe, context, shape, found, comparison if device == "cpu" else None)
    choices, own = plan_layouts(task), plan_own(task)
    if recipe.cluster is not None or recipe.engine.kind == "vllm":
        memories = [*own_memories(own), *memories]
    if not choices[0].reason and choices[0].layout.ranks > 1:
        memories.append(("the fastest layout's", choices[0].memory))
    return Plan(
        estimate,
        None,
        task,
        own,
        recommend(task, choices, own),
        tuple(memories),
        task.lengths,
        tuple(choices),
        tuple(_simulated(task, choices)),
        str(run or ""),
        comparison,
    )


def _shape(model: str, context: Context) -> ModelShape:
    try:
        return context.shape(model)
    except UnknownModelError as error:
        if not model.startswith("@"):
            raise
        remedy = 'only a recipe of kind "r1" has stages: plan that one, or name a model'
        raise UserError(f"model = {model!r}: {error}; {remedy}.") from None


def _task(
    recipe: Any,
    context: Context,
    shape: ModelShape,
    lengths: Lengths | None = None,
    comparison: Comparison | None = None,
) -> Task:
    """What is planned. lengths: None assumes a log-normal. comparison: whose speeds to take."""
    given, limit = context.given, recipe.sampling.max_new_tokens
    if lengths is None:
        from_base = not recipe.model.startswith("@")
        mean = response_length(shape, limit, from_base, given.mean_response).tokens
        lengths = log_normal(mean, limit)
    prompt = prompt_length(shape, given.mean_prompt).tokens
    fit = comparison.whole if comparison else None
    return Task(recipe, shape, context.machine(shape), prompt, lengths, fit)


def _check_run(recipe: Recipe, run: Path | None) -> None:
    if run is not None and not _samples(recipe):
        raise UserError("--lengths is for recipes that learn by sampling; leave it out.")


def _samples(recipe: Recipe) -> bool:
    """Whether it is one run that learns from rewards of its own samples."""
    if isinstance(recipe, R1Recipe):
        return False
    return registry.get(recipe.kind).learns_from == "rewards"


def _simulated(task: Task, choices: list[Choice]) -> list[Simulated]:
    """The fastest shared layout, synchronous, and the fastest separate one in every mode."""
    fitting = [choice for choice in choices if not choice.reason]
    played = []
    for shared, modes in (
        (True, (SYNCHRONOUS,)),
        (False, MODES),
    ):
        best = next((c for c in fitting if c.layout.shared is shared), None)
        if best is not None:
            plant = plant_of(task, best)
            outcomes = (simulate(task.work, plant, m, STEPS, WARM_UP + m.ahead) for m in modes)
            played.append(Simulated(best, tuple(outcomes)))
    return played
