"""Assumed speeds of a layout's engines and learner ranks: a roofline of named hardware.

    iteration of an engine   overhead + max(weights read, arithmetic of the rows) + cache read
    drawing                  rows of continuous batching: one that ends makes room for the next
    update                   max(arithmetic, parameters gathered and gradients scattered)
    new weights              gathered whole on every rank, then sent to every engine

Bandwidths of memory count for 60 %, arithmetic for the training share of hardware.py. An
iteration's overhead is 10 us a layer, and with tensor parallel two reductions a layer of 15 us each
inside a node and 40 us across nodes. These four are assumptions of ours, and no GPU has confirmed
them. For DeepSeek-V3 in bfloat16 on 16 H800 they give 21 tokens a second to a response of a large
batch with little in the cache, where users of DeepSeek's own service see 20 to 22 (in FP8, half the
bytes, at larger batches).

FSDP2 moves, for each micro-batch, all parameters twice in the products' format and all gradients
once in fp32; it overlaps with arithmetic here. Left out on purpose: latency of these transfers,
unequal ranks, FP8, speculation, overlap of weight transfer with anything, eviction from the cache,
chunked prefill.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1.plan.hardware import Hardware, Rates
from r1.plan.layout import Layout
from r1.plan.machine import Machine
from r1.plan.memory import BYTES, cached_numbers, engine_bytes
from r1.plan.model import ModelShape, routed_parameters
from r1.rollout.settings import EngineSettings

BANDWIDTH_SHARE = 0.6
RESPONSES, WEIGHTS_SHARE, DEEPSEEK_V3_SPEED = 256, 0.6, 37.9933
"""Of `response_speed`: an engine's rows, the share of its memory that weights may fill, and the
roofline's tokens a second of DeepSeek-V3 on 32 H800."""
LAYER_S, REDUCE_S, REDUCE_FAR_S = 10e-6, 15e-6, 40e-6


class EngineSpeed(NamedTuple):
    """Seconds. overhead_s: per iteration. weights_s: to read the weights that every token passes.
    experts_s: to read all routed experts; a token passes chosen_share of them, so b tokens read 1 -
    (1 - chosen_share)^b of them. row_s: arithmetic of one token. context_s: to read one cached
    token. prefill_s: to compute one token of a prompt."""

    overhead_s: float
    weights_s: float = 0.0
    row_s: float = 0.0
    context_s: float = 0.0
    prefill_s: float = 0.0
    experts_s: float = 0.0
    chosen_share: float = 1.0

    def base(self, rows: int) -> float:
        """Return the seconds of one iteration with so many rows and an empty cache."""
        touched = 1.0 - (1.0 - self.chosen_share) ** rows
        read = self.weights_s + self.experts_s * touched
        return self.overhead_s + max(read, self.row_s * rows)

    def seconds(self, rows: int, context: float, iterations: float) -> float:
        """Return the seconds of iterations in a row; each adds one cached token per row."""
        grown = context * iterations + rows * iterations * (iterations + 1) / 2
        return self.base(rows) * iterations + self.context_s * grown

    def drawing_s(self, slots: int, prompt: int, lengths_PG: NDArray[np.int64]) -> float:
        """Return the seconds in which an engine of `slots` rows draws responses of these lengths.

        A prompt is computed when its group's first response enters, and keeps the others waiting.
        Between two responses that end, iterations have a closed form.
        """
        waiting = [(group, max(1, int(n))) for group, row in enumerate(lengths_PG) for n in row]
        waiting.reverse()
        rows: list[tuple[int, int]] = []  # (iteration after which it ends, its length)
        clock, context, done, computed = 0.0, 0, 0, -1
        while waiting or rows:
            while waiting and len(rows) < slots:
                group, length = waiting.pop()
                clock += self.prefill_s * prompt * (group != computed)
                computed = group
                context += prompt
                heapq.heappush(rows, (done + length, length))
            number = rows[0][0] - done
            clock += self.seconds(len(rows), context, number)
            done += number
            context += len(rows) * number
            while rows and rows[0][0] == done:
                context -= prompt + heapq.heappop(rows)[1]
        return clock


class LearnerSpeed(NamedTuple):
    """Seconds: fixed per update, per response token, per prompt token (once per group), per squared
    length of a sequence."""

    update_s: float = 0.0
    token_s: float = 0.0
    prompt_s: float = 0.0
    square_s: float = 0.0

    def seconds(self, prompt: int, lengths: NDArray[np.int64], groups: int) -> float:
        """Return the seconds of one update on responses of these lengths."""
        squares = float(np.sum((lengths + prompt) ** 2.0)) if self.square_s else 0.0
        tokens = self.token_s * float(lengths.sum()) + self.prompt_s * prompt * groups
        return self.update_s + tokens + self.square_s * squares


def response_speed(shape: ModelShape, hardware: Hardware, rates: Rates) -> float:
    """Return the tokens a second of a response: those of `rates`, which DeepSeek-V3 gets on H800,
    times what the roofline gives this model and GPU over what it gives that one.

    Both for a full batch in bfloat16, on the fewest GPUs that hold the weights, without reading the
    cache.
    """
    tensor = 1
    while 2 * shape.parameters > WEIGHTS_SHARE * hardware.memory_bytes * tensor:
        tensor *= 2
    engine = EngineSettings(dtype="bfloat16")
    roofline = 1 / engine_speed(shape, hardware, rates, tensor, engine).base(RESPONSES)
    return rates.response_speed * roofline / DEEPSEEK_V3_SPEED


def engine_speed(
    shape: ModelShape,
    hardware: Hardware,
    rates: Rates,
    tensor_parallel: int,
    engine: EngineSettings,
) -> EngineSpeed:
    """Return the speed of one replica on `tensor_parallel` GPUs."""
    flops = hardware.peak_flops * tensor_parallel
    token = 2 * shape.matmul_parameters / flops
    if hardware.name == "CPU":
        row = token / rates.generation_share
        return EngineSpeed(0.0, weights_s=1 / rates.response_speed, row_s=row, prefill_s=row)
    size = engine_bytes(engine, shape)
    memory = hardware.bandwidth * BANDWIDTH_SHARE
    routed = routed_parameters(shape)
    share = shape.experts.chosen / shape.experts.routed if shape.experts else 1.0
    always = shape.matmul_parameters - share * routed
    overhead = LAYER_S * shape.layers
    if tensor_parallel > 1:
        far = tensor_parallel > hardware.per_node
        overhead += 2 * shape.layers * (REDUCE_FAR_S if far else REDUCE_S)
    return EngineSpeed(
        overhead_s=overhead,
        weights_s=size * always / (memory * tensor_parallel),
        experts_s=size * routed / (memory * tensor_parallel),
        chosen_share=share,
        row_s=token / rates.training_share,
        context_s=size * cached_numbers(shape, tensor_parallel) / memory,
        prefill_s=token / rates.training_share,
    )


def learner_speed(
    recipe: Any,
    shape: ModelShape,
    machine: Machine,
    layout: Layout,
    tokens: float,
    teacher: ModelShape | None = None,
) -> LearnerSpeed:
    """Return the speed of all ranks together. tokens: of one step, over which transfers are
    spread. teacher: a model in the reference's place, whose pass counts by its size."""
    algorithm = getattr(recipe, "algorithm", None)
    steps = algorithm.num_minibatches * algorithm.num_epochs if algorithm else 1
    epochs = algorithm.num_epochs if algorithm else 1
    passes = 3.0 * epochs
    if algorithm is not None:
        passes += steps > 1 or algorithm.passes_before
        compared = teacher.matmul_parameters / shape.matmul_parameters if teacher else 1.0
        passes += algorithm.needs_reference * epochs * compared
    if getattr(algorithm, "critic", "shared") == "own":
        passes += 3.0 * epochs + 1.0
    flops = machine.hardware.peak_flops * machine.rates.training_share * layout.ranks
    token = passes * 2 * shape.matmul_parameters / flops
    square = passes * shape.layers * shape.heads * (shape.key_width + shape.value_width) / flops
    rows = max(steps, tokens * epochs / (layout.ranks * recipe.learner.tokens_per_microbatch))
    moved = rows * transfer_s(recipe, shape, machine, layout)
    token = max(token, moved / tokens)
    return LearnerSpeed(token_s=token, prompt_s=token, square_s=square)


def transfer_s(recipe: Any, shape: ModelShape, machine: Machine, layout: Layout) -> float:
    """Return the seconds to gather parameters and scatter gradients for one micro-batch."""
    if layout.ranks == 1:
        return 0.0
    half = 2 if recipe.learner.autocast else BYTES[recipe.learner.dtype]
    return (2 * half + 4) * shape.parameters / machine.hardware.between(layout.ranks)


def sync_s(recipe: Any, shape: ModelShape, machine: Machine, layout: Layout) -> float:
    """Return the seconds to send new weights to every engine."""
    size, hardware = BYTES[recipe.learner.dtype], machine.hardware
    gathered = size * shape.parameters / hardware.between(layout.ranks)
    sent = engine_bytes(recipe.engine, shape) * shape.parameters / layout.tensor_parallel
    sent /= hardware.between(layout.num_gpus)
    return (gathered if layout.ranks > 1 else 0.0) + sent
