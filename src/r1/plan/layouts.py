"""Which layouts fit a machine, and how long a step takes in each.

    fits a learner's GPU    the peak of memory.py <= what the hardware leaves
    fits an engine's GPU    weights / TP + one response at its limit <= the same (less what the
                            learner keeps there, where GPUs are shared)
    rows of an engine       what else fits, at the mean length, up to engine.max_batch

Layouts are tried as the learner is; where none fits, also with what it lacks: experts dealt out
over ranks, a fused attention kernel. Such a layout names its needs. A step's time is estimated
from one engine's share of a batch (simulate.py plays the best ones in full).

GPUs keep 5 % and 2 GB for themselves. Left out on purpose: pipeline parallel, tensor parallel for
the learner, nodes that differ, host memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from r1.plan.activations import Device, Precision, layer_bytes
from r1.plan.estimate import Machine
from r1.plan.layout import Layout
from r1.plan.lengths import Lengths
from r1.plan.memory import (
    LONGEST_PROMPT,
    Kernels,
    Memory,
    cached_numbers,
    engine_bytes,
    full_row,
    learner_items,
)
from r1.plan.model import ModelShape
from r1.plan.simulate import SYNCHRONOUS, LearnerSpeed, Plant, Work, simulate
from r1.plan.speeds import engine_speed, learner_speed, sync_s
from r1.plan.timings import Fit

GB = 1e9
EXPERTS, FUSED = "expert parallelism", "fused attention"
TENSOR_PARALLEL = (1, 2, 4, 8, 16, 32)
EXPERT_PARALLEL = (8, 64)


class Choice(NamedTuple):
    """A layout that was tried. reason: why it does not fit, "" where it does. needs: what the
    learner would have to have. slots: rows of one engine. step_s: synchronous where GPUs are
    shared, one step off where they are separate; parts of it in draw_s, update_s, sync_s."""

    layout: Layout
    memory: Memory
    engine_bytes: float = 0.0
    slots: int = 0
    needs: tuple[str, ...] = ()
    reason: str = ""
    draw_s: float = 0.0
    update_s: float = 0.0
    sync_s: float = 0.0

    @property
    def step_s(self) -> float:
        """Estimated seconds of a step."""
        if self.layout.shared:
            return self.draw_s + self.update_s + self.sync_s
        return max(self.draw_s, self.update_s) + self.sync_s


class Task(NamedTuple):
    """What is to be planned: a recipe of kind r1_zero on a machine. fit: speeds measured on this
    CPU, in place of the assumed ones."""

    recipe: Any
    shape: ModelShape
    machine: Machine
    prompt: float
    lengths: Lengths
    fit: Fit | None = None

    @property
    def device(self) -> Device:
        """Whose kernels."""
        return self.machine.device

    @property
    def budget(self) -> float:
        """Bytes of a GPU that can be used."""
        return self.machine.budget

    @property
    def work(self) -> Work:
        """One step, as the simulation takes it."""
        grpo = self.recipe.grpo
        return Work(grpo.num_problems, grpo.group_size, round(self.prompt), self.lengths.draw)

    @property
    def tokens(self) -> float:
        """Tokens of one step, prompts once a group."""
        grpo = self.recipe.grpo
        return grpo.num_problems * (self.prompt + grpo.group_size * self.lengths.mean)


def plan_layouts(task: Task) -> list[Choice]:
    """All layouts tried: those that fit, the fastest first and those without needs before the
    others; then those that do not fit. Needs are tried only where nothing fits without."""
    tried: list[Choice] = []
    fitting: list[Choice] = []
    for needs in _needs(task.shape):
        found = [_tried(task, layout, needs) for layout in candidates(task, needs)]
        tried += [c for c in found if c.reason]
        fitting += sorted((c for c in found if not c.reason), key=lambda c: c.step_s)
        if fitting:
            break
    return fitting + tried


def _needs(shape: ModelShape) -> Iterator[tuple[str, ...]]:
    yield ()
    if shape.heads != shape.kv_heads:
        yield (FUSED,)
    if shape.experts is not None:
        yield (EXPERTS,)
        yield (FUSED, EXPERTS)


def candidates(task: Task, needs: Sequence[str] = ()) -> Iterator[Layout]:
    """Layouts of all GPUs: shared ones, and those in which 1, 2, 4 or 6 of 8 learn."""
    total = task.machine.num_gpus
    experts = EXPERT_PARALLEL if EXPERTS in needs else (1,)
    for parallel in experts:
        for tensor in TENSOR_PARALLEL:
            if tensor <= total and total % tensor == 0 and parallel <= total:
                yield Layout(total, total // tensor, tensor, True, parallel)
            for eighths in (1, 2, 4, 6):
                ranks = total * eighths // 8
                rest = total - ranks
                if total * eighths % 8 == 0 and rest >= tensor and parallel <= ranks:
                    yield Layout(ranks, rest // tensor, tensor, False, parallel)


def _tried(task: Task, layout: Layout, needs: tuple[str, ...]) -> Choice:
    recipe, shape = task.recipe, task.shape
    kernels = Kernels(task.device, True if FUSED in needs else None)
    memory = Memory(tuple(learner_items(recipe, shape, layout, kernels, full_row(recipe))))
    choice = Choice(layout, memory, needs=needs)
    if reason := refused(task, layout):
        return choice._replace(reason=reason)
    if memory.peak > task.budget:
        return choice._replace(reason=too_large("a learner's GPU", memory, task.budget))
    free = task.budget - (memory.of("resident") if layout.shared else 0.0)
    fixed, token = engine_needs(task, layout)
    longest = recipe.sampling.max_new_tokens + LONGEST_PROMPT
    if fixed + token * longest > free:
        weights, cache = fixed / GB, token * longest / GB
        reason = (
            f"an engine's GPU needs {weights + cache:,.1f} GB of {free / GB:,.1f}: weights and "
            f"buffers {weights:,.1f}, one response of {longest:,} tokens {cache:,.1f}"
        )
        return choice._replace(reason=reason)
    slots = int((free - fixed) / (token * (task.prompt + task.lengths.mean)))
    slots = max(1, min(slots, recipe.engine.max_batch))
    used = fixed + token * slots * (task.prompt + task.lengths.mean)
    return timed(task, choice._replace(engine_bytes=used, slots=slots))


def refused(task: Task, layout: Layout) -> str:
    """Why learner or engine do not run in so many parts, "" where they do."""
    if layout.ranks > 1 and getattr(task.recipe.learner, "lora", None) is not None:
        return "learner.lora runs in one process only"
    if task.shape.heads % layout.tensor_parallel:
        heads, ranks = task.shape.heads, layout.tensor_parallel
        return f"{heads} attention heads cannot be dealt out to {ranks}"
    return ""


def too_large(what: str, memory: Memory, budget: float) -> str:
    """What is too large, by how much, and its three largest parts."""
    parts = [f"{part} {size / GB:,.1f}" for part, size in list(memory.at_peak().items())[:3]]
    return f"{what} needs {memory.peak / GB:,.1f} GB of {budget / GB:,.1f}: {', '.join(parts)}"


def engine_needs(task: Task, layout: Layout, buffers: bool = True) -> tuple[float, float]:
    """Bytes on one GPU of an engine: weights and buffers (or weights alone), one cached token."""
    shape, engine, tensor = task.shape, task.recipe.engine, layout.tensor_parallel
    size = engine_bytes(engine, shape)
    logits = 16 * min(engine.max_batch, 512) * shape.vocab / tensor
    prompts = layer_bytes(shape, Precision(2)) * engine.prefill_tokens / tensor
    fixed = size * shape.parameters / tensor + (logits + prompts if buffers else 0.0)
    return fixed, size * cached_numbers(shape, tensor)


def plant_of(task: Task, choice: Choice) -> Plant:
    """The engines and the learner of a layout, for the simulation."""
    layout, shape, fit = choice.layout, task.shape, task.fit
    if fit is not None:
        return Plant(1, choice.slots, fit.engine, fit.learner, fit.sync_s + fit.other_s)
    engine = engine_speed(shape, task.machine, layout.tensor_parallel, task.recipe.engine)
    learner = learner_speed(task.recipe, shape, task.machine, layout, task.tokens)
    sync = sync_s(task.recipe, shape, task.machine, layout)
    return Plant(layout.replicas, choice.slots, engine, learner, sync)


def timed(task: Task, choice: Choice) -> Choice:
    """A batch's share of one engine, drawn; the update; the transfer."""
    work, plant = task.work, plant_of(task, choice)
    one = Plant(1, plant.slots, plant.engine, LearnerSpeed())
    share = work._replace(groups=math.ceil(work.groups / plant.replicas))
    draw = simulate(share, one, SYNCHRONOUS, num_steps=2, warm_up=0).step_s
    number = work.groups * work.group_size
    quantiles = task.lengths.quantiles
    spread = quantiles[[i * len(quantiles) // number for i in range(number)]]
    update = plant.learner.seconds(work.prompt, spread, work.groups)
    return choice._replace(draw_s=draw, update_s=update, sync_s=plant.sync_s)
