"""Call decode.c: the small operations of a CPU decode step, each in one pass over memory.

In torch a decode step of a small model is hundreds of operations of microseconds each. Here the
attention of a layer is one call, and so are rotation, norm and gate. Only fp32 on a CPU; without a
compiler `library` gives None and the engine computes the same with torch.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from r1.native import load
from r1.rollout.kv_cache import KVMemory

_MAX_WIDTH, _MAX_REPEATS = 512, 16
_GRAIN = 16_384  # numbers below which a second thread costs more than it helps


class _Attention(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("query", "key", "value")],
        *[
            (f"{name}_{axis}", ctypes.c_int64)
            for name in ("query", "key", "value")
            for axis in ("row", "head")
        ],
        *[
            (name, ctypes.c_void_p)
            for name in (
                "own_keys", "own_values", "prompt_keys", "prompt_values",
                "order", "lengths", "slots", "prompt_lengths", "out",
            )
        ],
        *[
            (name, ctypes.c_int64)
            for name in ("B", "H", "K", "D", "V", "own_size", "prompt_size", "window")
        ],
        ("scaling", ctypes.c_float),
    ]  # fmt: skip


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled functions, or None if they are not available."""
    found = load(Path(__file__).with_name("decode.c"))
    if found is None:
        return None
    pointer, count, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
    found.attend.argtypes = [ctypes.POINTER(_Attention), ctypes.c_int]
    found.rotate.argtypes = [pointer, pointer, pointer, *[count] * 4, ctypes.c_int]
    found.rms_norm.argtypes = [pointer, pointer, pointer, count, count, number, ctypes.c_int]
    found.silu_gate.argtypes = [pointer, pointer, count, count, ctypes.c_int]
    return found


def threads_for(numbers: int) -> int:
    """Return the number of threads that pay off for an operation over so many numbers."""
    return torch.get_num_threads() if numbers >= _GRAIN else 1


class NativeDecodeStep:
    """kv_cache.DecodeStep as one call per layer. Same memory, with own column 0 unused."""

    folded_sin: Tensor | None = None

    def __init__(
        self,
        memory: KVMemory,
        functions: ctypes.CDLL,
        slot_B: np.ndarray,
        prompt_lengths_S: np.ndarray,
        lengths_B: Tensor,
        longest: int,
    ) -> None:
        self.memory, self.functions = memory, functions
        order_B = np.argsort(slot_B, kind="stable")
        self.kept = (slot_B, prompt_lengths_S, lengths_B, order_B)  # as long as their addresses
        self.num_keys = longest + int(prompt_lengths_S.max())
        self.call = _Attention(
            order=order_B.ctypes.data,
            lengths=lengths_B.data_ptr(),
            slots=slot_B.ctypes.data,
            prompt_lengths=prompt_lengths_S.ctypes.data,
            B=len(slot_B),
            own_size=memory.own_size[1],
            prompt_size=memory.prompt_size[1],
        )

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int
    ) -> Tensor:
        call = self.call
        B, H, D = query.shape
        V = value.shape[-1]
        if query.stride(2) != 1 or key.stride(2) != 1 or value.stride(2) != 1:
            query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        call.query, call.query_row, call.query_head = query.data_ptr(), *query.stride()[:2]
        call.key, call.key_row, call.key_head = key.data_ptr(), *key.stride()[:2]
        call.value, call.value_row, call.value_head = value.data_ptr(), *value.stride()[:2]
        own_keys, own_values, call.prompt_keys, call.prompt_values = self.memory.addresses(layer)
        call.own_keys, call.own_values = own_keys + 4 * D, own_values + 4 * V
        call.H, call.K, call.D, call.V = H, key.shape[1], D, V
        call.scaling, call.window = scaling, window
        out = query.new_empty(B, H, V)
        call.out = out.data_ptr()
        self.functions.attend(call, threads_for(B * H * self.num_keys))
        return out


def fits(memory: KVMemory, num_heads: int) -> bool:
    """Whether the model's heads fit native.c's fixed sizes."""
    shapes = [name for pair in memory.shapes.values() for name in pair]
    return all(
        width <= _MAX_WIDTH and num_heads <= heads * _MAX_REPEATS for _, heads, width in shapes
    )


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Return x [..., D] / sqrt(mean(x^2) + eps) * weight [D]."""
    x = x.contiguous()
    out = torch.empty_like(x)
    D = weight.shape[0]
    _functions().rms_norm(
        x.data_ptr(), weight.data_ptr(), out.data_ptr(), x.numel() // D, D, eps,
        threads_for(x.numel()),
    )  # fmt: skip
    return out


def silu_gate(x: Tensor) -> Tensor:
    """Return silu(x[..., :W]) * x[..., W:] for x [..., 2 W]."""
    x = x.contiguous()
    W = x.shape[-1] // 2
    out = x.new_empty(*x.shape[:-1], W)
    _functions().silu_gate(
        x.data_ptr(), out.data_ptr(), out.numel() // W, W, threads_for(8 * out.numel())
    )
    return out


def rotate_in_place(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotate x [N, H, D], heads side by side, by cos and sin [1, N, D]."""
    N, H, D = x.shape
    _functions().rotate(
        x.data_ptr(), cos.data_ptr(), sin.data_ptr(), N, H, D, x.stride(0), threads_for(x.numel())
    )


def _functions() -> ctypes.CDLL:
    found = library()
    assert found is not None
    return found
