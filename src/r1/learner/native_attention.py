"""Calls tree_attention.c: the attention of a packed row on a CPU in fp32, with its gradient.

Without a compiler, or for widths it is not written for, `fits` says no and `shared_prefix` computes
the same with PyTorch's kernels.

Shapes: N tokens of the row, H query heads, J key/value heads, E head width.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from r1.learner.packing import PrefixLayout
from r1.native import load


class _Tree(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("q", "k", "v")],
        *[(f"{name}_{axis}", ctypes.c_int64) for name in "qkv" for axis in ("row", "head")],
        *[
            (name, ctypes.c_void_p)
            for name in ("out", "lse", "grad", "dq", "dk", "dv", "segments", "first_segment")
        ],
        *[(name, ctypes.c_int64) for name in ("groups", "H", "J", "E")],
        ("scale", ctypes.c_float),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """The compiled function, or None where it cannot be had."""
    found = load(Path(__file__).with_name("tree_attention.c"))
    if found is not None:
        found.tree_attention.argtypes = [ctypes.POINTER(_Tree), ctypes.c_int, ctypes.c_int]
    return found


def fits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Whether tree_attention.c can take these: fp32, one width, a multiple of 16."""
    widths = {x.shape[-1] for x in (query, key, value)}
    single = {x.dtype for x in (query, key, value)} == {torch.float32}
    return single and len(widths) == 1 and widths.pop() % 16 == 0 and library() is not None


class NativeTreeAttention(torch.autograd.Function):
    """q [N, H, E], k and v [N, J, E], any strides between tokens and heads -> [N, H, E]."""

    @staticmethod
    def forward(
        ctx: Any, q_NHE: Tensor, k_NJE: Tensor, v_NJE: Tensor, layout: PrefixLayout, scale: float
    ) -> Tensor:
        q, k, v = (x if x.stride(2) == 1 else x.contiguous() for x in (q_NHE, k_NJE, v_NJE))
        out = q.new_empty(q.shape)
        lse = q.new_empty(q.shape[:2])
        _call(q, k, v, layout, scale, {"out": out, "lse": lse}, backward=False)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad_NHE: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, out, lse = ctx.saved_tensors
        dq, dk, dv = (x.new_empty(x.shape) for x in (q, k, v))
        results = {
            "out": out, "lse": lse, "grad": grad_NHE.contiguous(), "dq": dq, "dk": dk, "dv": dv
        }  # fmt: skip
        _call(q, k, v, ctx.layout, ctx.scale, results, backward=True)
        return dq, dk, dv, None, None


def _call(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    layout: PrefixLayout,
    scale: float,
    results: dict[str, Tensor],
    backward: bool,
) -> None:
    functions = library()
    assert functions is not None
    segments, first = layout.segment_table
    tree = _Tree(
        segments=segments.data_ptr(), first_segment=first.data_ptr(), groups=len(first) - 1,
        H=q.shape[1], J=k.shape[1], E=q.shape[2], scale=scale,
    )  # fmt: skip
    for name, x in (("q", q), ("k", k), ("v", v)):
        setattr(tree, name, x.data_ptr())
        setattr(tree, f"{name}_row", x.stride(0))
        setattr(tree, f"{name}_head", x.stride(1))
    for name, x in results.items():
        setattr(tree, name, x.data_ptr())
    if functions.tree_attention(tree, int(backward), torch.get_num_threads()):
        raise MemoryError("no memory for the scratch of the packed attention")
