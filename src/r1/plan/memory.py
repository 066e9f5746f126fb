"""Memory of one GPU (or of this machine) by part: one process, or one rank of an FSDP2 learner.

    resident     weights, AdamW's two moments, the reference, the engine's own copy, its cache
    rollout      the engine's logits and prompts (all of a sleeping engine, where GPUs are shared)
    forward      gradients so far, all activations, the budget of logits, bf16 copies (autocast)
    loss         gradients so far, all activations, one chunk of logits, the head's new gradient
    backward     gradients so far, all activations, one layer's temporaries
    reduce       gradients so far, whole gradients of embeddings and head (several ranks)
    step         gradients, and the optimiser's temporaries
    sync         what LoRA merges: a matrix, or all of them for vLLM and to sample ahead
    peak         resident + the largest of the others
    host         of the host's memory: activations that wait there (no part of the peak)

A rank of R holds 1/R of weights, moments, gradients and reference, and all of its own row's
activations; the layer at work and the next one are gathered, the embeddings and the head all the
time, and one layer's gradients exist whole before they are scattered, those of embeddings and head
when the layers are done.

Weights, moments, gradients and cache are exact, activations are counted as in activations.py; on
CPUs the sum is within 10 % of the measured peak (bench/plan_memory.py), and for GPUs within 10 % of
PyTorch's memory tracker on fake tensors (bench/fake_memory.py). No GPU was measured.
Left out on purpose: fragmentation and the CUDA context (a gigabyte or two), the passes of reference
and old policy (they keep nothing and stand below the learning pass), buffers of NCCL.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from r1.plan.activations import Device, Precision, backward_bytes, layer_bytes
from r1.plan.adapters import adapters_of
from r1.plan.model import ModelShape, routed_parameters
from r1.rollout.settings import EngineSettings

Phase = Literal[
    "resident", "rollout", "forward", "loss", "backward", "reduce", "step", "sync", "host"
]
PHASES: tuple[Phase, ...] = ("rollout", "forward", "loss", "backward", "reduce", "step", "sync")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
LONGEST_PROMPT = 512


class MemoryItem(NamedTuple):
    """One part of the memory, in bytes, and its phase."""

    part: str
    phase: Phase
    bytes: float


class Memory(NamedTuple):
    """All parts of the memory."""

    items: tuple[MemoryItem, ...]

    def of(self, phase: Phase) -> float:
        """Return the bytes of one phase without the resident ones."""
        return sum(item.bytes for item in self.items if item.phase == phase)

    @property
    def worst(self) -> Phase:
        """Return the phase of the peak."""
        return max(PHASES, key=self.of)

    @property
    def peak(self) -> float:
        """Return the bytes at the peak."""
        return self.of("resident") + self.of(self.worst)

    def at_peak(self) -> dict[str, float]:
        """Return the bytes by part at the peak, largest first; their sum is the peak."""
        parts: dict[str, float] = {}
        for item in self.items:
            if item.bytes and item.phase in ("resident", self.worst):
                parts[item.part] = parts.get(item.part, 0.0) + item.bytes
        return dict(sorted(parts.items(), key=lambda part: -part[1]))


class MicrobatchRow(NamedTuple):
    """A micro-batch: tokens in its row, predicted tokens, keys of the longest sequence.

    several: an optimiser step has more than one, so that gradients are there from the start.
    """

    tokens: float
    predicted: float
    keys: float
    several: bool = True


def full_row(recipe: Any) -> MicrobatchRow:
    """Return an optimiser step's largest row, all tokens predicted, with its longest sequence.

    That is a row filled to its budget, or all that one step holds where this is less. What is never
    cut, a response with its prompt or a pair, has a row of its own where it is longer.
    """
    budget = recipe.learner.tokens_per_microbatch
    sampling = getattr(recipe, "sampling", None)
    longest = sampling.max_new_tokens + LONGEST_PROMPT if sampling else recipe.batch.max_tokens
    held = _step_tokens(recipe, longest or budget)
    whole = (longest or 0) * (1 if sampling else getattr(recipe, "responses_per_row", 1))
    tokens = min(max(budget, whole), held)
    return MicrobatchRow(tokens, tokens, min(longest or tokens, tokens), several=held > tokens)


def _step_tokens(recipe: Any, longest: int) -> int:
    """Return the most tokens that one optimiser step learns from. longest: of a sequence."""
    algorithm = getattr(recipe, "algorithm", None)
    if algorithm is not None:
        responses = math.ceil(
            algorithm.num_problems * algorithm.group_size / algorithm.num_minibatches
        )
        return responses * longest
    return int(recipe.batch.size * longest * getattr(recipe, "responses_per_row", 1))


def _merges_all(recipe: Any) -> bool:
    """Whether one process merges all of its adapters at once: for vLLM, and to sample ahead."""
    engine, algorithm = getattr(recipe, "engine", None), getattr(recipe, "algorithm", None)
    if engine is None or algorithm is None:
        return False
    return engine.kind == "vllm" or algorithm.staleness > 0


def learner_memory(
    recipe: Any,
    shape: ModelShape,
    ranks: int = 1,
    device: Device = "cuda",
    row: MicrobatchRow | None = None,
    teacher: ModelShape | None = None,
) -> Memory:
    """Return the memory of one of `ranks` ranks of a recipe's learner.

    row: None is the largest one of a step (full_row). teacher: a model in the reference's place.
    """
    row = row or full_row(recipe)
    learner = recipe.learner
    size = BYTES[learner.dtype]
    lora = getattr(learner, "lora", None)
    trained = adapters_of(shape, lora).parameters if lora else shape.parameters
    moments = 2.0 * trained
    if recipe.optimizer.kind == "muon":  # one of each matrix
        moments = trained + (0 if lora else adamw_beside_muon(shape))
    items = [
        MemoryItem("weights", "resident", size * shape.parameters / ranks),
        MemoryItem("optimiser", "resident", size * moments / ranks),
        MemoryItem("gradients", "step", size * trained / ranks),
    ]
    if device == "cuda":  # all parameters at once; on a CPU one after another
        items.append(MemoryItem("optimiser's temporaries", "step", size * trained / ranks))
    else:
        largest = max(shape.vocab * shape.width * (lora is None), shape.width * shape.ffn)
        items.append(MemoryItem("optimiser's temporaries", "step", 2 * size * largest))
    if lora:
        # A matrix at a time: it, what is added to it, and their sum.
        at_once = ranks == 1 and _merges_all(recipe)
        merged = layer_parameters(shape) if at_once else 3 * shape.width * shape.ffn
        items.append(MemoryItem("adapters", "resident", size * trained / ranks))
        items.append(MemoryItem("merged copy", "sync", size * merged))
    algorithm = getattr(recipe, "algorithm", None)
    compared = getattr(recipe, "needs_reference", False)
    if teacher is not None:
        items.append(MemoryItem("teacher", "resident", size * teacher.parameters / ranks))
    elif compared or (algorithm is not None and algorithm.needs_reference):
        items.append(MemoryItem("reference", "resident", size * trained / ranks))
    own_critic = getattr(algorithm, "critic", "shared") == "own"
    if own_critic:
        critic = (1 + 2) * size * shape.parameters / ranks  # AdamW's moments, whatever the policy's
        items.append(MemoryItem("critic", "resident", critic))
        items.append(MemoryItem("critic's gradients", "step", size * shape.parameters / ranks))
        if row.several:
            items += _during("critic's gradients", size * shape.parameters / ranks, REDUCED)
    if row.several:
        items += _during("gradients", size * trained / ranks, REDUCED)
    items += _during("old log-probabilities", _old_logprobs(recipe), (*REDUCED, "step"))
    return Memory((*items, *_learning(learner, shape, ranks > 1, device, row, own_critic)))


def _old_logprobs(recipe: Any) -> float:
    """Return the bytes of the old policy's log-probabilities, which every rank has of the whole
    batch where it has several optimiser steps; all responses at their longest."""
    algorithm, sampling = (getattr(recipe, name, None) for name in ("algorithm", "sampling"))
    if not algorithm or not sampling or algorithm.num_minibatches * algorithm.num_epochs == 1:
        return 0.0
    return 4.0 * algorithm.num_problems * algorithm.group_size * sampling.max_new_tokens


OFFLOADED = 2
"""Layers whose inputs are on the GPU at once where they wait in the host's memory."""
LAYERS: tuple[Phase, ...] = ("forward", "loss", "backward")
REDUCED: tuple[Phase, ...] = (*LAYERS, "reduce")


def _during(part: str, amount: float, phases: tuple[Phase, ...] = LAYERS) -> list[MemoryItem]:
    """Return a part that exists in several phases, as it is from the first to the last pass."""
    return [MemoryItem(part, phase, amount) for phase in phases]


def _learning(
    learner: Any,
    shape: ModelShape,
    sharded: bool,
    device: Device,
    row: MicrobatchRow,
    own_critic: bool,
) -> list[MemoryItem]:
    """Return activations, logits and temporaries of one micro-batch."""
    lora = getattr(learner, "lora", None)
    precision = Precision(BYTES[learner.dtype], learner.autocast)
    if sharded and learner.autocast:
        precision = Precision(2)  # FSDP2 gathers bf16 parameters; the stream is bf16 then
    half, stream = precision.product, precision.stream
    rank, adapted = (lora.rank, adapters_of(shape, lora).per_layer) if lora else (0, 0.0)
    layer = layer_bytes(shape, precision, device, rank, adapted) * row.tokens
    kept = getattr(learner, "gradient_checkpointing", False)
    last = (4 + stream) * shape.width * row.tokens + stream * shape.width * row.predicted
    offloaded = device == "cuda" and kept == "offload"
    inputs = shape.layers * stream * shape.width * row.tokens
    saved = inputs if kept else shape.layers * layer
    if offloaded:
        saved *= OFFLOADED / shape.layers
    saved += last
    items = _during("activations", saved)
    if offloaded:
        items.append(MemoryItem("activations", "host", inputs * (1 + own_critic)))
    items += _during("attention mask", mask_bytes(row, half, device))
    if own_critic:
        items += _during("critic's activations", saved)
    if kept:
        items.append(MemoryItem("recomputed layer", "backward", layer))
    temporary = backward_bytes(shape, precision) * row.tokens
    items.append(MemoryItem("layer's temporaries", "backward", temporary))
    copied = half < precision.weight or (device == "cpu" and half < 4)  # a CPU's kernels copy it
    items += _logits(learner, shape, row, precision, lora is None, sharded)
    if copied:
        items += _during("output head", half * shape.vocab * shape.width, ("forward", "loss"))
    if sharded:
        items += _gathered(shape, half, trained=lora is None)
    elif learner.autocast:
        copies = 2 * layer_parameters(shape)
        items += [MemoryItem("bf16 copies of the weights", "forward", copies)]
        one = copies / shape.layers if kept else copies
        items += [MemoryItem("bf16 copies of the weights", "backward", one)]
        items += [MemoryItem("bf16 copies of the weights", "loss", 0 if kept else copies)]
    return items


def _logits(
    learner: Any,
    shape: ModelShape,
    row: MicrobatchRow,
    precision: Precision,
    trained_head: bool,
    sharded: bool,
) -> list[MemoryItem]:
    """Return chunks of logits, two of which are there when the next is made, and the head's
    gradient, which waits for the embedding's: a tied one, and any that is scattered with it."""
    table, half = shape.vocab * shape.width, precision.product
    budget = getattr(learner, "logits_budget_mb", 0) * 2**20
    one = max(1.0, budget // (12 * shape.vocab)) if budget else row.predicted
    chunk = 4 * shape.vocab * min(one, row.predicted)
    rounded = chunk / 2 if half < 4 else 0
    product = half * table if half < 4 and trained_head else 0  # of a chunk, before it is added
    step = chunk + rounded + max(chunk + rounded, product)
    hidden = precision.stream * shape.width * row.predicted
    items = [
        MemoryItem("logits", "forward", 3 * chunk + rounded),
        MemoryItem("logits", "loss", step + hidden),
    ]
    if trained_head:
        waits = precision.weight * table if shape.tied or sharded else 0
        items.append(MemoryItem("output head", "loss", 4 * table))
        items.append(MemoryItem("output head", "backward", waits))
    return items


def _gathered(shape: ModelShape, half: int, trained: bool) -> list[MemoryItem]:
    """Return the parameters that FSDP2 gathers, and a layer's gradients before the scatter."""
    table = shape.vocab * shape.width * (1 if shape.tied else 2)
    layer = shape.largest_layer
    items = _during("gathered parameters", half * (table + 2 * layer))
    if trained:
        both = half + 4 if half < 4 else half
        items.append(MemoryItem("gathered gradients", "backward", both * layer))
        items.append(MemoryItem("gathered gradients", "reduce", both * table))
        items.append(MemoryItem("gathered parameters", "reduce", half * table))
    return items


def layer_parameters(shape: ModelShape) -> float:
    """Return the number of parameters without embeddings and head."""
    return shape.parameters - shape.vocab * shape.width * (1 if shape.tied else 2)


def mask_bytes(row: MicrobatchRow, product: int, device: Device) -> float:
    """Return the bytes of the attention's mask, which all layers share.

    FlashAttention's kernels (CUDA, half precision) have none, and a CPU's only under a window. In
    fp32 on CUDA every segment of a packed row is unpacked against its own keys under a bias. Scores
    are never kept. product: bytes of a number in a matrix product.
    """
    if device == "cpu" or product < 4:
        return 0.0
    return 4.0 * row.tokens * min(row.keys, row.tokens)


def adamw_beside_muon(shape: ModelShape) -> float:
    """Return the parameters that Muon leaves to AdamW: embeddings, head, vectors, stacked experts.

    The vectors of a model with a latent or with experts, a ten-thousandth of it, are left out.
    """
    tables = shape.vocab * shape.width * (1 if shape.tied else 2)
    if shape.latent or shape.experts is not None:
        return tables + routed_parameters(shape)
    heads = (shape.heads + shape.kv_heads) * (shape.key_width + shape.value_width)
    return shape.parameters - shape.layers * shape.width * (heads + 3 * shape.ffn)


def engine_items(recipe: Any, shape: ModelShape, replicas: int = 1) -> list[MemoryItem]:
    """Return the memory of one of `replicas` embedded engines: weights, cache and logits.

    It caches transformers' keys and values, never the latent ones.
    """
    engine, algorithm = recipe.engine, recipe.algorithm
    size = engine_bytes(engine, shape)
    samples = samples_together(algorithm, replicas)
    tokens = cache_tokens(engine, samples, algorithm.group_size, recipe.sampling.max_new_tokens)
    token = shape.layers * shape.kv_heads * (shape.key_width + shape.value_width)
    rows = min(engine.max_batch, samples)
    prompts = layer_bytes(shape, Precision(2)) * engine.prefill_tokens
    return [
        MemoryItem("engine's weights", "resident", size * shape.parameters),
        MemoryItem("key/value cache", "resident", size * token * tokens),
        MemoryItem("logits of the engine", "rollout", 4 * 4 * rows * shape.vocab),
        MemoryItem("prompts of the engine", "rollout", prompts),
    ]


def samples_together(algorithm: Any, replicas: int) -> int:
    """Return the responses that one engine has at a time: its share of a batch or, with partial
    rollouts, of all batches in progress."""
    batches = 1 + algorithm.staleness if algorithm.partial_rollouts else 1
    return math.ceil(batches * algorithm.num_problems * algorithm.group_size / replicas)


def engine_bytes(engine: EngineSettings, shape: ModelShape) -> int:
    """Return the bytes of a number in the engine's copy; "auto" is fp32 for small models only."""
    return BYTES.get(engine.dtype, 2 if shape.parameters > 5e7 else 4)


def cached_numbers(shape: ModelShape, tensor_parallel: int) -> float:
    """Return the numbers per token that each GPU of a tensor-parallel engine (vLLM) caches.

    Heads are dealt out; a latent (DeepSeek-V3) is one for all heads, so every GPU has it whole.
    """
    if shape.latent:
        return shape.kv_per_token
    return shape.kv_per_token / min(tensor_parallel, shape.kv_heads)


def cache_tokens(engine: EngineSettings, samples: int, group_size: int, limit: int) -> int:
    """Return the tokens that fit the embedded engine's cache: rows and prompts of a full batch."""
    rows = min(engine.max_batch, samples)
    while rows > 1:
        slots = min(samples // group_size, rows, max(1, 2 * math.ceil(rows / group_size)))
        if rows * limit + slots * LONGEST_PROMPT <= engine.max_kv_tokens:
            return rows * (limit + 1) + slots * LONGEST_PROMPT
        rows -= 1
    return min(engine.max_kv_tokens, limit + LONGEST_PROMPT)
