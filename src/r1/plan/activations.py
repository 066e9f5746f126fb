"""Activation memory of one token for the backward pass, from what transformers' layers save.

A decoder layer of width D, feed-forward width F, H query and J key/value heads of width E saves, in
numbers a token,

    two norms         input and normalised input of each, and their outputs     6 D
    attention         queries, keys (rotated), values, output, log-sum-exp      2 H E + 2 J E + H
    feed-forward      gate, its SiLU, up, their product                         4 F

each tensor once, however many products read it. The number formats:

    float32           4 bytes each
    bfloat16 weights  norms compute on a float32 copy of their input (4 + 2 + 2 bytes of D each)
    autocast          norms stay float32 and each product keeps a bfloat16 copy of its input: three
                      of the first norm's output (queries, keys, values), two of the second's
    adapters (LoRA)   frozen norms keep no normalised input; r numbers for each adapted matrix

`bench/plan_memory.py` compares these with the tensors that autograd really saves. Left out on
purpose: attention and residual dropout (off), the latent projections of DeepSeek-V3 beside its
heads, the router of experts; these models were not measured.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from r1.plan.model import ModelShape

Device = Literal["cpu", "cuda"]


class Precision(NamedTuple):
    """The dtype of the weights in bytes; whether products run in bfloat16 over float32 weights."""

    weight: int
    autocast: bool = False

    @property
    def product(self) -> int:
        """Return the bytes of a number that enters or leaves a matrix product."""
        return 2 if self.autocast else self.weight

    @property
    def stream(self) -> int:
        """Return the bytes of a number in the residual stream."""
        return self.weight


def layer_bytes(
    shape: ModelShape,
    precision: Precision,
    device: Device = "cpu",
    rank: int = 0,
    adapted: float = 0.0,
) -> float:
    """Return the bytes per token that one layer saves. rank: of its adapters, 0 without them.
    adapted: its matrices that have one."""
    product = precision.product
    heads = shape.heads * (shape.key_width + shape.value_width)
    heads += shape.kv_heads * (shape.key_width + shape.value_width)
    if device == "cuda" and product == 4:
        # FlashAttention's kernels are in half precision: the row is unpacked into buckets, keys and
        # values for every query head, and the result back.
        heads = shape.heads * (2 * shape.key_width + 3 * shape.value_width)
    saved = norms_bytes(shape, precision, trained=rank == 0)
    saved += product * heads + 4 * shape.heads + product * 4 * ffn_width(shape)
    if shape.qk_norms:
        saved += 2 * precision.weight * (shape.heads + shape.kv_heads) * shape.key_width
    if rank:
        saved += adapted * rank * product
    return saved


def norms_bytes(shape: ModelShape, precision: Precision, trained: bool = True) -> float:
    """Return the bytes per token that a layer's two norms and the products reading them save."""
    width, normalised = shape.width, 1 if trained else 0
    if precision.autocast:
        return 2 * width * (4 + 4 * normalised) + 2 * width * 5
    if precision.weight == 2:
        return 2 * width * (4 + 2 * normalised + 2)
    return 2 * width * 4 * (2 + normalised)


def backward_bytes(shape: ModelShape, precision: Precision) -> float:
    """Return the bytes per token of live gradients in a feed-forward's backward pass: of the
    stream, of the product, of its two factors."""
    return 2 * precision.stream * shape.width + 3 * precision.product * ffn_width(shape)


def ffn_width(shape: ModelShape) -> int:
    """Return the width of the feed-forward that one token passes."""
    if shape.experts is None:
        return shape.ffn
    return shape.experts.ffn * (shape.experts.chosen + shape.experts.shared)
