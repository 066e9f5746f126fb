"""Find where each stage of a pipeline runs, and whether its memory suffices.

    a stage that learns by sampling     its own layout, with its estimated step (own.py), where it
                                        has a [cluster]; else the fastest one, as nothing is said
    one that fine-tunes                 a rank of its layout; else a rank of all GPUs
    one that only samples               an engine's weights and buffers, and one response at its
                                        limit, on the replicas of the whole recipe's [cluster];
                                        else in the fewest parts that fit

Left out on purpose: the share of a GPU that vLLM is given where a stage only samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from r1.plan.hardware import GB
from r1.plan.layout import Layout, own_layout, tensor_parallel
from r1.plan.layouts import (
    TENSOR_PARALLEL,
    LayoutTask,
    engine_needs,
    no_room,
    plan_layouts,
    refused,
    too_large,
)
from r1.plan.machine import Machine
from r1.plan.memory import LONGEST_PROMPT, learner_memory
from r1.plan.model import ModelShape
from r1.plan.own import plan_own
from r1.rollout.settings import EngineSettings


class Place(NamedTuple):
    """The hardware of a stage.

    where: its layout in words. asked: by [cluster]. gpu_bytes: of its fullest GPU (on CPUs: of all
    processes together). reason: why it does not fit, "" where it does. needs: what the learner
    would have to have. step_s: of one that learns by sampling, None where it does not fit.
    """

    where: str
    asked: bool
    gpu_bytes: float
    reason: str = ""
    step_s: float | None = None


def rewarded_place(task: LayoutTask) -> Place:
    """Return the place of a stage that learns by sampling."""
    silent = task.recipe.cluster is None and task.recipe.engine.kind == "embedded"
    choice = plan_layouts(task)[0] if silent else plan_own(task).choice
    step_s = None if choice.reason else choice.step_s
    where, asked = choice.layout.describe(), task.recipe.cluster is not None
    return Place(where, asked, choice.memory.peak, choice.reason, step_s)


def tuned_place(recipe: Any, shape: ModelShape, machine: Machine) -> Place:
    """Return the place of a recipe or stage that fine-tunes."""
    asked, on_cpu = recipe.cluster is not None, machine.device == "cpu"
    if asked:
        layout = own_layout(recipe)._replace(shared=False)
    else:
        layout = Layout(1 if on_cpu else machine.num_gpus, 0, shared=False)
    memory = learner_memory(recipe, shape, layout.ranks, machine.device)
    used = memory.peak * (layout.ranks if on_cpu else 1)
    reason = refused(recipe, shape, layout)
    if layout.ranks > machine.num_gpus and not on_cpu:
        reason = f"it asks for {layout.ranks} GPUs of {machine.num_gpus}, all to learn"
    elif used > machine.budget:
        whose = f"this machine, with {layout.ranks} ranks," if on_cpu else "a learner's GPU"
        reason = too_large(whose, memory, machine.budget) + _offloaded(
            recipe, shape, layout.ranks, machine
        )
    return Place(_ranks(layout), asked, used, reason)


def _offloaded(recipe: Any, shape: ModelShape, ranks: int, machine: Machine) -> str:
    """Return that it would fit with its activations in the host's memory, "" where not."""
    learner = recipe.learner
    if machine.device == "cpu" or not getattr(learner, "gradient_checkpointing", False):
        return ""
    update = {"learner": learner.model_copy(update={"gradient_checkpointing": "offload"})}
    memory = learner_memory(recipe.model_copy(update=update), shape, ranks, machine.device)
    if memory.peak > machine.budget:
        return ""
    return f'; it fits with learner.gradient_checkpointing = "offload" ({memory.peak / GB:,.1f} GB)'


def _ranks(layout: Layout) -> str:
    return f"{layout.ranks} rank{'s' * (layout.ranks > 1)}"


class _Sampling(NamedTuple):
    """The part of a recipe that determines an engine's needs."""

    engine: EngineSettings


def sampling_place(
    engine: EngineSettings, limit: int, shape: ModelShape, machine: Machine, cluster: Any
) -> Place:
    """Return the place of a stage that samples a finished model and does not train.

    limit: tokens of the longest response. cluster: the whole recipe's.
    """
    holder = _Sampling(engine)
    longest = limit + LONGEST_PROMPT
    if cluster is not None:
        layout = Layout(0, cluster.engine_replicas, tensor_parallel(engine), shared=False)
        return _engines(holder, shape, machine, layout, longest)._replace(asked=True)
    total, widest = machine.num_gpus, 1 if machine.device == "cpu" else machine.num_gpus
    layouts = [Layout(0, total // n, n, shared=False) for n in TENSOR_PARALLEL if n <= widest]
    tried = [
        _engines(holder, shape, machine, layout, longest)
        for layout in layouts
        if not refused(holder, shape, layout)
    ]
    return next((place for place in tried if not place.reason), tried[-1])


def _engines(
    holder: Any, shape: ModelShape, machine: Machine, layout: Layout, longest: int
) -> Place:
    replicas, tensor = layout.replicas, layout.tensor_parallel
    together = replicas if machine.device == "cpu" else 1
    needs = engine_needs(holder.engine, shape, tensor)
    fixed, token = together * (needs.weights + needs.buffers), together * needs.token
    if layout.num_gpus > machine.num_gpus and machine.device != "cpu":
        reason = f"it asks for {layout.num_gpus} GPUs of {machine.num_gpus}, all to sample"
    else:
        reason = no_room(fixed, token, longest, machine.budget) or refused(holder, shape, layout)
    return Place(f"{replicas} x TP {tensor}", False, fixed + token * longest, reason)
