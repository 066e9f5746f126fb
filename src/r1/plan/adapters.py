"""Which matrices of a dense model get LoRA adapters, and what these hold.

`learner.lora.target_modules` is read as peft reads it: a list of names that a layer's own may end
in, a regular expression for the whole name, or "all-linear".

Left out on purpose: the latent projections and the experts of DeepSeek-V3, which are counted as a
dense model's seven matrices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from r1.learner.settings import LoraSettings
from r1.plan.model import ModelShape


class Adapters(NamedTuple):
    """parameters: of all adapters. per_layer: adapted matrices of a layer, in the mean."""

    parameters: int
    per_layer: float


def adapters_of(shape: ModelShape, lora: LoraSettings) -> Adapters:
    """Return the adapters of a model: r (inputs + outputs) parameters for each adapted matrix."""
    chosen = [ends for name, ends in _matrices(shape) if is_adapted(name, lora.target_modules)]
    return Adapters(lora.rank * sum(chosen), len(chosen) / shape.layers)


def is_adapted(name: str, targets: str | tuple[str, ...]) -> bool:
    """Whether a matrix of this name gets an adapter."""
    if targets == "all-linear":
        return True
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == target or name.endswith(f".{target}") for target in targets)


def _matrices(shape: ModelShape) -> Iterator[tuple[str, int]]:
    """Yield the name of every matrix in transformers' layers, and its inputs + outputs."""
    query, key = shape.heads * shape.key_width, shape.kv_heads * shape.key_width
    value = shape.kv_heads * shape.value_width
    outputs = {
        "self_attn.q_proj": query,
        "self_attn.k_proj": key,
        "self_attn.v_proj": value,
        "self_attn.o_proj": shape.heads * shape.value_width,
        "mlp.gate_proj": shape.ffn,
        "mlp.up_proj": shape.ffn,
        "mlp.down_proj": shape.ffn,
    }
    for layer in range(shape.layers):
        for name, other in outputs.items():
            yield f"model.layers.{layer}.{name}", shape.width + other
