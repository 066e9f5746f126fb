"""How fast engines and learner ranks of a layout are taken to be: a roofline of named hardware.

    iteration of an engine   overhead + max(weights read, arithmetic of the rows) + cache read
    update                   max(arithmetic, parameters gathered and gradients scattered)
    new weights              gathered whole on every rank, then sent to every engine

Bandwidths of memory count for 60 %, arithmetic for the training share of hardware.py. An
iteration's overhead is 10 us a layer, and with tensor parallel two reductions a layer of 15 us each
inside a node and 40 us across nodes. These four are assumptions of ours. For DeepSeek-V3
in bfloat16 on 16 H800 they give 21 tokens a second to a response of a large batch with little in
the cache, where users of DeepSeek's own service see 20 to 22 (in FP8, half the bytes, at larger
batches).

FSDP2 moves, for each micro-batch, all parameters twice in the products' format and all gradients
once in fp32; it overlaps with arithmetic here. Left out on purpose: latency of these transfers,
unequal ranks, FP8, speculation, overlap of weight transfer with anything.
"""

from __future__ import annotations

from typing import Any

from r1.plan.estimate import Machine
from r1.plan.layout import Layout
from r1.plan.memory import BYTES, cached_numbers, engine_bytes
from r1.plan.model import ModelShape
from r1.plan.replica import EngineSpeed
from r1.plan.simulate import LearnerSpeed

BANDWIDTH_SHARE = 0.6
LAYER_S, REDUCE_S, REDUCE_FAR_S = 10e-6, 15e-6, 40e-6


def engine_speed(
    shape: ModelShape, machine: Machine, tensor_parallel: int, engine: Any
) -> EngineSpeed:
    """Of one replica on `tensor_parallel` GPUs."""
    hardware, rates = machine.hardware, machine.rates
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
    recipe: Any, shape: ModelShape, machine: Machine, layout: Layout, tokens: float
) -> LearnerSpeed:
    """Of all ranks together. tokens: of one step, by which transfers are spread over tokens."""
    grpo = getattr(recipe, "grpo", None)
    steps = grpo.num_minibatches * grpo.num_epochs if grpo else 1
    epochs = grpo.num_epochs if grpo else 1
    passes = 3.0 * epochs
    if grpo is not None:
        passes += (steps > 1) + (grpo.kl_weight > 0) * epochs
    flops = machine.hardware.peak_flops * machine.rates.training_share * layout.ranks
    token = passes * 2 * shape.matmul_parameters / flops
    square = passes * shape.layers * shape.heads * (shape.key_width + shape.value_width) / flops
    rows = max(steps, tokens * epochs / (layout.ranks * recipe.learner.tokens_per_microbatch))
    moved = rows * transfer_s(recipe, shape, machine, layout)
    token = max(token, moved / tokens)
    return LearnerSpeed(token_s=token, prompt_s=token, square_s=square)


def transfer_s(recipe: Any, shape: ModelShape, machine: Machine, layout: Layout) -> float:
    """Seconds to gather parameters and scatter gradients for one micro-batch of every rank."""
    if layout.ranks == 1:
        return 0.0
    routed = routed_parameters(shape)
    parameters = shape.parameters - routed + routed / layout.expert_parallel
    half = 2 if recipe.learner.autocast else BYTES[recipe.learner.dtype]
    return (2 * half + 4) * parameters / machine.hardware.between(layout.ranks)


def sync_s(recipe: Any, shape: ModelShape, machine: Machine, layout: Layout) -> float:
    """Seconds to bring new weights to every engine."""
    size, hardware = BYTES[recipe.learner.dtype], machine.hardware
    gathered = size * shape.parameters / hardware.between(layout.ranks)
    sent = engine_bytes(recipe.engine, shape) * shape.parameters / layout.tensor_parallel
    sent /= hardware.between(layout.num_gpus)
    return (gathered if layout.ranks > 1 else 0.0) + sent


def routed_parameters(shape: ModelShape) -> float:
    """Parameters of all routed experts."""
    if shape.experts is None:
        return 0.0
    layers = shape.layers - shape.experts.first_layer
    return 3.0 * shape.width * shape.experts.ffn * shape.experts.routed * layers
