"""Memory of one device by part, with the one-process learner and the embedded engine.

    resident     weights, AdamW's two moments, the reference, the engine's own copy, its cache
    + rollout    the engine's logits
    + update     gradients, bf16 copies of the weights (autocast), activations, attention scores,
                 one chunk of logits
    + step       gradients, and the optimiser's temporaries of the size of the weights
    peak         resident + the largest of the three

Weights, gradients, moments and cache are exact. Activations are counted from what transformers'
layers keep for the backward pass, with every row at its longest: an upper estimate that has not
been measured on a GPU. Left out on purpose: sharding over several devices, fragmentation and the
CUDA context (a gigabyte or two together), LoRA's merged copy.

Shapes: P parameters, L layers, D width, F feed-forward, H heads, J key/value heads, E their width,
T tokens of a micro-batch, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from r1.learner.settings import LoraSettings
from r1.plan.model import ModelShape
from r1.rollout.settings import EngineSettings

Phase = Literal["resident", "rollout", "update", "step"]
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
LONGEST_PROMPT = 512


class Item(NamedTuple):
    """One part, in bytes, and when it is there."""

    part: str
    phase: Phase
    bytes: float


class Memory(NamedTuple):
    """All parts."""

    items: tuple[Item, ...]

    def of(self, phase: Phase) -> float:
        """Bytes of one phase, what is resident left out."""
        return sum(item.bytes for item in self.items if item.phase == phase)

    @property
    def peak(self) -> float:
        """Bytes at the worst moment."""
        return self.of("resident") + max(self.of("rollout"), self.of("update"), self.of("step"))


def memory_of(recipe: Any, shape: ModelShape) -> Memory:
    """The memory of a recipe of kind r1_zero, sft or reward_model on one device.

    Where recipe.engine is missing nothing is sampled.
    """
    learner = recipe.learner
    size = BYTES[learner.dtype]
    lora = getattr(learner, "lora", None)
    trained = lora_parameters(shape, lora) if lora else shape.parameters
    kept = 1 if recipe.optimizer.kind == "muon" else 2
    items = [
        Item("weights", "resident", size * shape.parameters),
        Item("optimiser", "resident", kept * size * trained),
        Item("gradients", "update", size * trained),
        Item("gradients", "step", size * trained),
        Item("optimiser's temporaries", "step", size * trained),
    ]
    if lora:
        items.append(Item("adapters", "resident", size * trained))
    grpo = getattr(recipe, "grpo", None)
    if grpo is not None and grpo.kl_weight > 0:
        items.append(Item("reference", "resident", size * trained))
    if grpo is not None:
        items += _engine(recipe, shape)
    return Memory((*items, *_update(recipe, shape)))


def cache_tokens(engine: EngineSettings, samples: int, group_size: int, limit: int) -> int:
    """Tokens that the embedded engine's cache has room for: rows and prompts of a full batch."""
    rows = min(engine.max_batch, samples)
    while rows > 1:
        slots = min(samples // group_size, rows, max(1, 2 * math.ceil(rows / group_size)))
        if rows * limit + slots * LONGEST_PROMPT <= engine.max_kv_tokens:
            return rows * (limit + 1) + slots * LONGEST_PROMPT
        rows -= 1
    return min(engine.max_kv_tokens, limit + LONGEST_PROMPT)


def lora_parameters(shape: ModelShape, lora: LoraSettings) -> int:
    """Adapters of rank r on every matrix of a dense model: r (inputs + outputs) each."""
    query, key = shape.heads * shape.key_width, shape.kv_heads * shape.key_width
    ends = 2 * (shape.width + query) + 2 * (shape.width + key) + 3 * (shape.width + shape.ffn)
    return lora.rank * shape.layers * ends


def _engine(recipe: Any, shape: ModelShape) -> list[Item]:
    """The engine's copy, its cache (transformers' keys and values, not the latent ones), logits."""
    engine, grpo = recipe.engine, recipe.grpo
    size = BYTES.get(engine.dtype, 2 if shape.parameters > 5e7 else 4)
    samples = grpo.num_problems * grpo.group_size
    limit = recipe.sampling.max_new_tokens
    tokens = cache_tokens(engine, samples, grpo.group_size, limit)
    per_token = shape.layers * shape.kv_heads * (shape.key_width + shape.value_width)
    rows = min(engine.max_batch, samples)
    return [
        Item("engine's weights", "resident", size * shape.parameters),
        Item("key/value cache", "resident", size * per_token * tokens),
        Item("logits of the engine", "rollout", 4 * 4 * rows * shape.vocab),
        Item("prompts of the engine", "rollout", _layer_bytes(shape, 2) * engine.prefill_tokens),
    ]


def _update(recipe: Any, shape: ModelShape) -> list[Item]:
    learner = recipe.learner
    size = BYTES[learner.dtype]
    half = 2 if learner.autocast else size
    tokens = learner.tokens_per_microbatch
    layer = _layer_bytes(shape, half)
    if learner.gradient_checkpointing:
        activations = shape.layers * size * shape.width * tokens + layer * tokens
    else:
        activations = shape.layers * layer * tokens
    head = shape.vocab * shape.width
    chunk = getattr(learner, "logits_budget_mb", 0) * 2**20
    scores = _score_bytes(recipe, shape, tokens)
    if not learner.gradient_checkpointing:
        scores *= shape.layers
    items = [
        Item("activations", "update", activations),
        Item("attention scores", "update", scores),
        Item("logits, output head", "update", chunk + (half + 4) * head + 4 * shape.width * tokens),
    ]
    if learner.autocast:
        items.append(Item("bf16 copies of the weights", "update", 2 * shape.parameters))
    return items


def _layer_bytes(shape: ModelShape, half: int) -> float:
    """Bytes a token that one layer keeps for its backward pass, gradients of its widest part
    included: two norms in fp32 (20 D), queries, keys and values before and after rotation, the
    attention's output, and six of the feed-forward's width."""
    heads = (2 * shape.heads + 2 * shape.kv_heads) * shape.key_width
    heads += (shape.kv_heads + 2 * shape.heads) * shape.value_width
    ffn = shape.ffn
    if shape.experts:
        ffn = shape.experts.ffn * (shape.experts.chosen + shape.experts.shared)
    return 20 * shape.width + half * heads + half * 6 * ffn


def _score_bytes(recipe: Any, shape: ModelShape, tokens: int) -> float:
    """Scores of a packed row on a GPU, where every segment is unpacked against its own keys under
    an explicit mask: if PyTorch takes no fused kernel for that, scores and weights in fp32, the
    weights in half precision and a gradient, 14 bytes a pair and head."""
    sampling = getattr(recipe, "sampling", None)
    if sampling is not None:
        keys = sampling.max_new_tokens + LONGEST_PROMPT
    else:
        keys = recipe.batch.max_tokens or shape.context
    return 14.0 * shape.heads * tokens * min(keys, tokens)
