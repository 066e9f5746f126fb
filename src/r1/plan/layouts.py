"""Find the layouts that fit a machine, and estimate the time of a step in each.

    fits a learner's GPU    the peak of memory.py <= what the hardware leaves
    fits an engine's GPU    weights / TP + one response at its limit <= vLLM's share of the GPU, in
                            whole hundredths as its setting takes it: all that the hardware leaves,
                            less what the learner keeps there where GPUs are shared
    rows of an engine       what else fits that share, at the mean length, up to engine.max_batch
    a step                  drawing one engine's share of a batch + the update + sending weights;
                            on separate GPUs the longer of the first two: one batch is sampled ahead

Layouts are tried with the learner as it is; if none fits, also with a fused attention kernel that
PyTorch may not have. Such a layout names that need. Drawing is the mean of two batches of lengths.

GPUs keep 5 % and 2 GB for themselves. Left out on purpose: pipeline, tensor and expert parallelism,
which the learner lacks; unequal nodes; host memory; rewards; an engine that gets more than its
share of long responses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from r1.plan.activations import Device, Precision, layer_bytes
from r1.plan.hardware import GB
from r1.plan.layout import Layout
from r1.plan.lengths import Lengths
from r1.plan.machine import Machine
from r1.plan.memory import (
    LONGEST_PROMPT,
    Memory,
    cached_numbers,
    engine_bytes,
    learner_memory,
)
from r1.plan.model import ModelShape
from r1.plan.speeds import engine_speed, learner_speed, sync_s
from r1.rollout.settings import EngineSettings

TENSOR_PARALLEL = (1, 2, 4, 8, 16, 32)
DRAWN_BATCHES = 2


class TriedLayout(NamedTuple):
    """A layout that was tried. reason: why it does not fit, "" if it does. slots: rows of
    one engine. ahead: drawing and update overlap. draw_s, update_s, sync_s: parts of a step."""

    layout: Layout
    memory: Memory
    engine_bytes: float = 0.0
    slots: int = 0
    reason: str = ""
    ahead: bool = False
    draw_s: float = 0.0
    update_s: float = 0.0
    sync_s: float = 0.0

    @property
    def step_s(self) -> float:
        """Return the estimated seconds of a step."""
        busy = max(self.draw_s, self.update_s) if self.ahead else self.draw_s + self.update_s
        return busy + self.sync_s


class LayoutTask(NamedTuple):
    """A recipe that learns by sampling, and its machine. prompt: mean tokens of one. teacher: of a
    recipe that distils."""

    recipe: Any
    shape: ModelShape
    machine: Machine
    prompt: float
    lengths: Lengths
    teacher: ModelShape | None = None

    @property
    def device(self) -> Device:
        """Return the device whose kernels are used."""
        return self.machine.device

    @property
    def budget(self) -> float:
        """Return the usable bytes of a GPU."""
        return self.machine.budget

    @property
    def tokens(self) -> float:
        """Return the tokens of one step; a group's prompt counts once."""
        algorithm = self.recipe.algorithm
        return algorithm.num_problems * (self.prompt + algorithm.group_size * self.lengths.mean)


def plan_layouts(task: LayoutTask) -> list[TriedLayout]:
    """Return all layouts tried: those that fit, fastest first, then the others."""
    found = [_tried(task, layout) for layout in candidates(task.machine.num_gpus)]
    fitting = [choice for choice in found if not choice.reason]
    others = [choice for choice in found if choice.reason]
    return sorted(fitting, key=lambda choice: choice.step_s) + others


def candidates(num_gpus: int) -> Iterator[Layout]:
    """Return layouts of all GPUs: all shared, and those in which 1, 2, 4 or 6 of 8 learn.

    An engine over several GPUs has GPUs of its own: [cluster] cannot place it on shared ones.
    """
    yield Layout(num_gpus, num_gpus, 1, True)
    for tensor in TENSOR_PARALLEL:
        for eighths in (1, 2, 4, 6):
            ranks, left = divmod(num_gpus * eighths, 8)
            if not left and num_gpus - ranks >= tensor:
                yield Layout(ranks, (num_gpus - ranks) // tensor, tensor, False)


def _tried(task: LayoutTask, layout: Layout) -> TriedLayout:
    recipe, each = task.recipe, task.prompt + task.lengths.mean
    memory = learner_memory(recipe, task.shape, layout.ranks, task.device, teacher=task.teacher)
    choice = TriedLayout(layout, memory, ahead=not layout.shared)
    if reason := refused(recipe, task.shape, layout):
        return choice._replace(reason=reason)
    if memory.peak > task.budget:
        return choice._replace(reason=too_large("a learner's GPU", memory, task.budget))
    free = vllm_share(task, layout, memory) * task.machine.hardware.memory_bytes
    weights, buffers, token = engine_needs(recipe.engine, task.shape, layout.tensor_parallel)
    fixed = weights + buffers
    if reason := no_room(fixed, token, recipe.sampling.max_new_tokens + LONGEST_PROMPT, free):
        return choice._replace(reason=reason)
    slots = max(1, min(int((free - fixed) / (token * each)), recipe.engine.max_batch))
    return timed(task, choice._replace(engine_bytes=fixed + token * slots * each, slots=slots))


def vllm_share(task: LayoutTask, layout: Layout, memory: Memory) -> float:
    """Return engine.vllm.gpu_memory_utilization for a layout, in whole hundredths: the usable
    memory without what a learner on the same GPU keeps (its gradients too, as `r1 run` checks)."""
    kept = 0.0
    if layout.shared:
        gradients = (i for i in memory.items if (i.part, i.phase) == ("gradients", "step"))
        kept = memory.of("resident") + sum(item.bytes for item in gradients)
    return math.floor(100 * (task.budget - kept) / task.machine.hardware.memory_bytes) / 100


def refused(recipe: Any, shape: ModelShape, layout: Layout) -> str:
    """Return why learner or engine cannot be divided so, "" if they can."""
    if shape.heads % layout.tensor_parallel:
        return f"{shape.heads} attention heads cannot be dealt out to {layout.tensor_parallel}"
    return ""


def too_large(what: str, memory: Memory, budget: float) -> str:
    """Return a message with what is too large, by how much, and its three largest parts."""
    parts = [f"{part} {size / GB:,.1f}" for part, size in list(memory.at_peak().items())[:3]]
    return f"{what} needs {memory.peak / GB:,.1f} GB of {budget / GB:,.1f}: {', '.join(parts)}"


def no_room(fixed: float, token: float, longest: int, free: float) -> str:
    """Return why an engine cannot sample one response of so many tokens, "" if it can."""
    weights, cache = fixed / GB, token * longest / GB
    if fixed + token * longest <= free:
        return ""
    return (
        f"an engine's GPU needs {weights + cache:,.1f} GB of {free / GB:,.1f}: weights and "
        f"buffers {weights:,.1f}, one response of {longest:,} tokens {cache:,.1f}"
    )


class EngineNeeds(NamedTuple):
    """Memory of an engine on one GPU, in bytes. token: of one cached token."""

    weights: float
    buffers: float
    token: float


def engine_needs(engine: EngineSettings, shape: ModelShape, gpus: int) -> EngineNeeds:
    """Return the memory that a vLLM engine takes on each of its GPUs."""
    size = engine_bytes(engine, shape)
    logits = 16 * min(engine.max_batch, 512) * shape.vocab / gpus
    prompts = layer_bytes(shape, Precision(2)) * engine.prefill_tokens / gpus
    token = size * cached_numbers(shape, gpus)
    return EngineNeeds(size * shape.parameters / gpus, logits + prompts, token)


def timed(task: LayoutTask, choice: TriedLayout) -> TriedLayout:
    """Return the choice with the times of drawing, update and transfer."""
    layout, recipe, shape, machine = choice.layout, task.recipe, task.shape, task.machine
    prompt, algorithm = round(task.prompt), recipe.algorithm
    engine = engine_speed(
        shape, machine.hardware, machine.rates, layout.tensor_parallel, recipe.engine
    )
    learner = learner_speed(recipe, shape, machine, layout, task.tokens, task.teacher)
    share = (math.ceil(algorithm.num_problems / layout.replicas), algorithm.group_size)
    generator = np.random.default_rng(0)
    batches = [task.lengths.draw(generator, share) for _ in range(DRAWN_BATCHES)]
    drawing = [engine.drawing_s(choice.slots, prompt, batch) for batch in batches]
    number = algorithm.num_problems * algorithm.group_size
    quantiles = task.lengths.quantiles
    spread = quantiles[[i * len(quantiles) // number for i in range(number)]]
    update = learner.seconds(prompt, spread, algorithm.num_problems)
    return choice._replace(
        draw_s=sum(drawing) / DRAWN_BATCHES,
        update_s=update,
        sync_s=sync_s(recipe, shape, machine, layout),
    )
