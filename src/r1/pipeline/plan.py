"""`r1 plan RECIPE`: what a recipe costs, where its memory and its time go, on which layouts it fits.

Torch-free; reads the recipe, what data files are there, and a finished run's folder where one is
named. Nothing is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from r1.errors import UserError
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.recipe import R1ZeroRecipe, Recipe
from r1.pipeline.run_r1 import build
from r1.plan.activations import Device
from r1.plan.estimate import Context, Estimate, Given, estimate_pipeline, estimate_recipe
from r1.plan.layout import Layout
from r1.plan.layouts import Choice, Task, plan_layouts, plant_of
from r1.plan.lengths import Lengths, log_normal, measured
from r1.plan.memory import Kernels, Memory, memory_of
from r1.plan.model import UnknownModelError
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
from r1.plan.simulate import ONE_STEP_OFF, SYNCHRONOUS, bounded, simulate
from r1.plan.timings import Comparison, compare
from r1.plan.workload import prompt_length, response_length

STALENESS = 4
STEPS, WARM_UP = 4, 2


class Plan(NamedTuple):
    """What is known of one recipe. memories: (whose, parts). run: of which `comparison` speaks."""

    estimate: Estimate
    memories: tuple[tuple[str, Memory], ...] = ()
    lengths: Lengths | None = None
    choices: tuple[Choice, ...] = ()
    simulated: tuple[Simulated, ...] = ()
    run: str = ""
    comparison: Comparison | None = None


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
        console.print(show_pipeline(_pipeline(recipe, path, given)))
        console.print(Text("memory and layouts are those of single recipes: r1 plan THE STAGE'S"))
        return
    plan = plan_recipe(recipe, path.parent, given, lengths)
    console.print(show(plan.estimate))
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
    if plan.lengths:
        console.print(Text(f"assumed: {plan.lengths.note}", style="dim"))
    if plan.comparison:
        console.print(comparison_text(plan.run, plan.comparison))


def plan_json(
    recipe: Recipe, path: Path, given: Given, lengths: Path | None = None
) -> dict[str, Any]:
    """The same for programs. Raises UserError as plan_command does."""
    if isinstance(recipe, R1Recipe):
        return as_json(_pipeline(recipe, path, given))
    plan = plan_recipe(recipe, path.parent, given, lengths)
    return {
        **as_json(plan.estimate),
        "memory": {name: memory_json(memory) for name, memory in plan.memories},
        "lengths": plan.lengths.note if plan.lengths else None,
        "layouts": [choice_json(choice) for choice in plan.choices],
        "simulated": simulated_json(plan.simulated),
        "run": comparison_json(plan.comparison) if plan.comparison else None,
    }


def _pipeline(recipe: R1Recipe, path: Path, given: Given) -> list[Estimate]:
    return estimate_pipeline(build(recipe, path.parent, str(path)).specs, path.parent, given)


def plan_recipe(
    recipe: Any, base_folder: Path, given: Given, run: Path | None = None
) -> Plan:
    """The plan of a recipe of kind r1_zero, sft or reward_model."""
    context = Context(base_folder, given)
    found = _lengths(recipe, run)
    if found is not None and given.mean_response is None:
        context = Context(base_folder, given._replace(mean_response=found.mean))
    estimate = estimate_recipe(recipe, base_folder, context.given)
    try:
        shape = context.shape(recipe.model)
    except UnknownModelError:
        return Plan(estimate)
    machine = context.machine(shape)
    device: Device = "cpu" if machine.hardware.name == "CPU" else "cuda"
    kernels = Kernels(device)
    memories = [("one process", memory_of(recipe, shape, kernels=kernels))]
    if machine.num_gpus > 1 and getattr(recipe.learner, "lora", None) is None:
        sharded = memory_of(recipe, shape, Layout(machine.num_gpus, replicas=0, shared=False))
        memories.append((f"a rank of {machine.num_gpus}", sharded))
    if not isinstance(recipe, R1ZeroRecipe):
        return Plan(estimate, tuple(memories))
    limit = recipe.sampling.max_new_tokens
    if found is None:
        from_base = not recipe.model.startswith("@")
        mean = response_length(shape, limit, from_base, given.mean_response).tokens
        found = log_normal(mean, limit)
    prompt = prompt_length(shape, given.mean_prompt).tokens
    task = Task(recipe, shape, machine, prompt, found)
    choices = plan_layouts(task)
    comparison = None
    if run is not None and (run / "timings.jsonl").exists():
        comparison = compare(run, recipe.grpo.group_size)
    return Plan(
        estimate,
        tuple(memories),
        found,
        tuple(choices),
        tuple(_simulated(task, choices)),
        str(run or ""),
        comparison,
    )


def _lengths(recipe: Any, run: Path | None) -> Lengths | None:
    if run is None:
        return None
    if not isinstance(recipe, R1ZeroRecipe):
        raise UserError("--lengths is for recipes that sample (kind r1_zero); leave it out.")
    return measured(run, recipe.sampling.max_new_tokens)


def _simulated(task: Task, choices: list[Choice]) -> list[Simulated]:
    """The fastest shared layout, synchronous, and the fastest separate one in every mode."""
    fitting = [choice for choice in choices if not choice.reason]
    played = []
    for shared, modes in (
        (True, (SYNCHRONOUS,)),
        (False, (SYNCHRONOUS, ONE_STEP_OFF, bounded(STALENESS))),
    ):
        best = next((c for c in fitting if c.layout.shared is shared), None)
        if best is not None:
            plant = plant_of(task, best)
            outcomes = (simulate(task.work, plant, mode, STEPS, WARM_UP) for mode in modes)
            played.append(Simulated(best, tuple(outcomes)))
    return played
