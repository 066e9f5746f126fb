"""Check the layout that a recipe asks for by its [cluster], engine and staleness.

    ranks, replicas     cluster.learner_ranks, cluster.engine_replicas; 1 and 1 without [cluster]
    GPUs of a replica   engine.vllm.tensor_parallel_size; 1 for the embedded engine
    engine's memory     vLLM: gpu_memory_utilization of a GPU, or weights + kv_cache_gib
                        embedded: weights + a cache of max_kv_tokens at the most
    has to fit          the learner's peak, with the engine beside it where they share a GPU: all
                        the time, or (vLLM with sleep) only while the learner is at rest
                        one sequence of max_model_len (embedded: of the limit) in the cache
    a step              as of the layouts that are tried; drawing and update overlap where
                        algorithm.staleness > 0 and they have GPUs of their own
    on CPUs             all processes in one machine's memory, on the same cores

Left out on purpose: what only a cluster can tell (`r1 run` compares its nodes), prompts longer than
LONGEST_PROMPT, what partial rollouts save (they are timed as whole batches are).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from r1.plan.hardware import GB
from r1.plan.layout import Layout, own_layout
from r1.plan.layouts import LayoutTask, TriedLayout, engine_needs, refused, timed, too_large
from r1.plan.memory import (
    LONGEST_PROMPT,
    Memory,
    MemoryItem,
    Phase,
    cache_tokens,
    engine_items,
    learner_memory,
    samples_together,
)

CPU_CACHE_GIB = 1.0  # what vLLM takes on a CPU where nothing is said


class Own(NamedTuple):
    """A recipe's own layout. choice.memory: of a learner's GPU, with the engine on it if shared.
    learner, engine: of a rank, and of one GPU of an engine, alone."""

    choice: TriedLayout
    learner: Memory
    engine: Memory


def own_mode(algorithm: Any) -> str:
    """Describe algorithm.staleness and algorithm.partial_rollouts in words."""
    if algorithm.partial_rollouts:
        return f"partial rollouts, {algorithm.staleness} ahead"
    names = {0: "synchronous", 1: "one step off"}
    return names.get(algorithm.staleness, f"whole batches, {algorithm.staleness} ahead")


def plan_own(task: LayoutTask) -> Own:
    """Return whether the recipe's own layout fits, with its memory and estimated step."""
    recipe, layout = task.recipe, own_layout(task.recipe)
    learner = learner_memory(recipe, task.shape, layout.ranks, task.device, teacher=task.teacher)
    engine = _engine(task, layout)
    memory = Memory((*learner.items, *(engine.items if layout.shared else ())))
    apart = not layout.shared and task.device != "cpu"
    choice = TriedLayout(
        layout, memory, Memory(engine.items).peak, ahead=apart and recipe.algorithm.staleness > 0
    )
    own = Own(choice, learner, Memory(engine.items))
    reason = refused(recipe, task.shape, layout) or _unplaceable(task, layout)
    reason = reason or _lacks_memory(task, own) or _too_long(task, engine.cached)
    if reason:
        return own._replace(choice=choice._replace(reason=reason))
    each = task.prompt + task.lengths.mean
    slots = max(1, min(int(engine.cached / each), recipe.engine.max_batch))
    place, rows = layout, slots
    if task.device == "cpu":  # the same cores for all: more processes are not faster
        place, rows = Layout(), slots * layout.replicas
    choice = timed(task, choice._replace(layout=place, slots=rows))
    return own._replace(choice=choice._replace(layout=layout, slots=slots))


class _Engine(NamedTuple):
    """The memory of an engine's GPU by part, and the tokens that its cache holds."""

    items: tuple[MemoryItem, ...]
    cached: float


def _engine(task: LayoutTask, layout: Layout) -> _Engine:
    """Return an engine's memory; a sleeping engine has it only while it draws."""
    recipe, engine, algorithm = task.recipe, task.recipe.engine, task.recipe.algorithm
    if engine.kind == "embedded":
        samples = samples_together(algorithm, layout.replicas)
        tokens = cache_tokens(engine, samples, algorithm.group_size, recipe.sampling.max_new_tokens)
        return _Engine(tuple(engine_items(recipe, task.shape, layout.replicas)), tokens)
    weights, buffers, token = engine_needs(engine, task.shape, layout.tensor_parallel)
    given = engine.vllm.kv_cache_gib
    if given is None and task.device == "cuda":
        share = engine.vllm.gpu_memory_utilization * task.machine.hardware.memory_bytes
        cache = max(0.0, share - (weights + buffers))
    else:
        cache = (given or CPU_CACHE_GIB) * 2**30
    phase: Phase = "rollout" if engine.vllm.sleep and task.device == "cuda" else "resident"
    items = (
        MemoryItem("engine's weights", phase, weights),
        MemoryItem("engine's buffers", phase, buffers),
        MemoryItem("key/value cache", phase, cache),
    )
    return _Engine(items, cache / token)


def _unplaceable(task: LayoutTask, layout: Layout) -> str:
    """Return why Ray cannot place it on the machine's GPUs, "" if it can."""
    cluster, have = task.recipe.cluster, task.machine.num_gpus
    if task.device == "cpu":
        return ""
    if layout.num_gpus > have:
        engines = layout.replicas * layout.tensor_parallel
        how = "shared" if layout.shared else "each its own"
        return (
            f"it asks for {layout.num_gpus} GPUs of {have}: {layout.ranks} to learn, {engines} to "
            f"sample, {how}"
        )
    if cluster is not None and layout.shared and layout.tensor_parallel > 1:
        return (
            f"an engine over {layout.tensor_parallel} GPUs needs GPUs of its own: "
            'cluster.placement = "separate"'
        )
    return ""


def _lacks_memory(task: LayoutTask, own: Own) -> str:
    """Return why memory is too small, in numbers; "" if it is not."""
    layout, budget = own.choice.layout, task.budget
    if task.device == "cpu":
        need = all_processes(own)
        short = f"this machine has {budget / GB:,.1f} GB of the {need / GB:,.1f} needed"
        return "" if need <= budget else f"{short}: {processes_text(own)}"
    if own.engine.peak > budget:
        return too_large("an engine's GPU", own.engine, budget)
    if own.choice.memory.peak > budget:
        whose = "the GPU that learner and engine share" if layout.shared else "a learner's GPU"
        return too_large(whose, own.choice.memory, budget)
    return ""


def all_processes(own: Own) -> float:
    """Return the bytes of every rank and engine together, if they share one memory."""
    layout = own.choice.layout
    if layout == Layout():
        return own.choice.memory.peak
    return layout.ranks * own.learner.peak + layout.replicas * own.engine.peak


def processes_text(own: Own) -> str:
    """Return the terms of that sum as text."""
    layout = own.choice.layout
    return (
        f"{layout.ranks} x {own.learner.peak / GB:,.2f} to learn, "
        f"{layout.replicas} x {own.engine.peak / GB:,.2f} to sample"
    )


def _too_long(task: LayoutTask, cached_tokens: float) -> str:
    """Return why the cache is too small, "" if it is not."""
    engine, limit = task.recipe.engine, task.recipe.sampling.max_new_tokens
    longest, what = limit + LONGEST_PROMPT, f"one response of {limit:,} and its prompt"
    if engine.kind == "vllm":
        given = engine.vllm.max_model_len
        longest, what = given or task.shape.context, "engine.vllm.max_model_len"
        what += "" if given else ", the model's context,"
        if longest < limit:
            return (
                f"engine.vllm.max_model_len = {longest:,} leaves no room for responses of "
                f"{limit:,} (sampling.max_new_tokens)"
            )
    if cached_tokens < longest:
        return (
            f"an engine's cache has room for {cached_tokens:,.0f} tokens, but {what} needs "
            f"{longest:,}"
        )
    return ""
