"""Where each stage of a pipeline runs, whether its memory does, and what all of them take together.

    a stage that learns by sampling     its own layout, with its simulated step (own.py), where it
                                        has a [cluster]; else the fastest one, as nothing is said
    one that fine-tunes                 a rank of its layout; else a rank of all GPUs, or with LoRA
                                        one process
    one that only samples               an engine's weights and buffers, and one response at its
                                        limit, on the replicas of the whole recipe's [cluster];
                                        else in the fewest parts that fit

Stages run one after another, so that their hours add up. Left out on purpose: the share of a GPU
that vLLM is given where a stage only samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from r1.plan.estimate import Estimate, Machine
from r1.plan.layout import Layout, own_layout, tensor_parallel
from r1.plan.layouts import (
    FUSED,
    GB,
    TENSOR_PARALLEL,
    Task,
    engine_needs,
    plan_layouts,
    refused,
    too_large,
)
from r1.plan.lengths import Lengths
from r1.plan.memory import LONGEST_PROMPT, Kernels, memory_of
from r1.plan.model import ModelShape
from r1.plan.own import plan_own
from r1.rollout.settings import EngineSettings

_NO_LENGTHS = Lengths(np.zeros(1, np.int64), "")


class Place(NamedTuple):
    """Where a stage runs.

    where: its layout in words. asked: by [cluster]. gpu_bytes: of its fullest GPU (on CPUs: of all
    processes together). reason: why it does not fit, "" where it does. needs: what the learner
    would have to have. step_s: of one that learns by sampling, None where it does not fit.
    """

    where: str
    asked: bool
    gpu_bytes: float
    reason: str = ""
    needs: tuple[str, ...] = ()
    step_s: float | None = None


def rewarded_place(task: Task) -> Place:
    """Of a stage that learns by sampling."""
    if task.recipe.cluster is None and task.recipe.engine.kind == "embedded":
        choice = plan_layouts(task)[0]
        step_s = None if choice.reason else choice.step_s
    else:
        own = plan_own(task)
        choice, step_s = own.choice, own.outcome.step_s if own.outcome else None
    where, asked = choice.layout.describe(), task.recipe.cluster is not None
    return Place(where, asked, choice.memory.peak, choice.reason, choice.needs, step_s)


def tuned_place(recipe: Any, shape: ModelShape, machine: Machine) -> Place:
    """Of a recipe or a stage that fine-tunes."""
    asked, on_cpu = recipe.cluster is not None, machine.device == "cpu"
    if asked:
        layout = own_layout(recipe)._replace(shared=False)
    else:
        alone = on_cpu or getattr(recipe.learner, "lora", None) is not None
        layout = Layout(1 if alone else machine.num_gpus, 0, shared=False)
    memory = memory_of(recipe, shape, layout, Kernels(machine.device))
    used = memory.peak * (layout.ranks if on_cpu else 1)
    if used > machine.budget and not (asked or on_cpu) and shape.heads != shape.kv_heads:
        fused = memory_of(recipe, shape, layout, Kernels(machine.device, True)).peak
        if fused <= machine.budget:
            return Place(_ranks(layout), asked, fused, needs=(FUSED,))
    reason = refused(Task(recipe, shape, machine, 0.0, _NO_LENGTHS), layout)
    if layout.ranks > machine.num_gpus and not on_cpu:
        reason = f"it asks for {layout.ranks} GPUs of {machine.num_gpus}, all to learn"
    elif used > machine.budget:
        whose = f"this machine, with {layout.ranks} ranks," if on_cpu else "a learner's GPU"
        reason = too_large(whose, memory, machine.budget)
    return Place(_ranks(layout), asked, used, reason)


def _ranks(layout: Layout) -> str:
    return f"{layout.ranks} rank{'s' * (layout.ranks > 1)}"


class _Sampling(NamedTuple):
    """What of a recipe an engine's needs are counted from."""

    engine: EngineSettings


def sampling_place(
    engine: EngineSettings, limit: int, shape: ModelShape, machine: Machine, cluster: Any
) -> Place:
    """Of a stage that samples a finished model and trains nothing.

    limit: tokens of the longest response. cluster: the whole recipe's.
    """
    task = Task(_Sampling(engine), shape, machine, 0.0, _NO_LENGTHS)
    longest = limit + LONGEST_PROMPT
    if cluster is not None:
        tensor = tensor_parallel(engine)
        return _engines(task, cluster.engine_replicas, tensor, longest, asked=True)
    total, widest = machine.num_gpus, 1 if machine.device == "cpu" else machine.num_gpus
    tried = [
        _engines(task, total // tensor, tensor, longest, asked=False)
        for tensor in TENSOR_PARALLEL
        if tensor <= widest and not refused(task, Layout(0, 1, tensor))
    ]
    return next((place for place in tried if not place.reason), tried[-1])


def _engines(task: Task, replicas: int, tensor: int, longest: int, asked: bool) -> Place:
    machine, layout = task.machine, Layout(0, replicas, tensor, shared=False)
    fixed, token = engine_needs(task, layout)
    used = (fixed + token * longest) * (replicas if task.device == "cpu" else 1)
    reason = refused(task, layout)
    if layout.num_gpus > machine.num_gpus and task.device != "cpu":
        reason = f"it asks for {layout.num_gpus} GPUs of {machine.num_gpus}, all to sample"
    elif used > machine.budget:
        reason = (
            f"an engine's GPU needs {used / GB:,.1f} GB of {machine.budget / GB:,.1f}: weights and "
            f"buffers {fixed / GB:,.1f}, one response of {longest:,} tokens "
            f"{token * longest / GB:,.1f}"
        )
    return Place(f"{replicas} x TP {tensor}", asked, used, reason)


class Together(NamedTuple):
    """All stages, one after another. longest: the one that takes the most time, None where nothing
    does; dollars: of GPUs, of stages on them."""

    hours: float
    gpu_hours: float
    held_gpu_hours: float
    dollars: float
    longest: Estimate | None


def together(estimates: Sequence[Estimate], price_per_hour: float) -> Together:
    """Sums over stages. price_per_hour: of a GPU."""
    on_gpus = [e for e in estimates if e.machine is not None and e.machine.device != "cpu"]
    longest = max(estimates, key=lambda e: e.hours, default=None)
    return Together(
        sum(e.hours for e in estimates),
        sum(e.gpu_hours for e in estimates),
        sum(e.held_gpu_hours for e in estimates),
        price_per_hour * sum(e.held_gpu_hours for e in on_gpus),
        longest if longest is not None and longest.hours else None,
    )
