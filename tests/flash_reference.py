"""FlashAttention's two operators for unequal lengths on a CPU, plainly, from their documentation.

Sequences lie one behind the other; the last query is aligned with the last key; key/value heads
are shared by neighbouring query heads; the log-sum-exp is [H, N]. The backward operator takes
output and log-sum-exp as given, as the kernels do: that is what lets two parts be merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

calls: list[str] = []
"""Which operators were called, since this list was last cleared."""


@contextmanager
def on_cpu() -> Iterator[None]:
    """Let a CPU have both operators."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("_flash_attention_forward", _forward, "CPU")
    library.impl("_flash_attention_backward", _backward, "CPU")
    calls.clear()
    try:
        yield
    finally:
        library._destroy()


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bounds_q: Tensor,
    bounds_k: Tensor,
    longest_q: int,
    longest_k: int,
    dropout: float,
    causal: bool,
    debug: bool,
    *,
    scale: float,
    **windows: int | None,
) -> tuple[Tensor, ...]:
    calls.append("forward")
    _check(q, bounds_q, longest_q)
    _check(k, bounds_k, longest_k)
    assert dropout == 0.0
    assert q.shape[-1] == k.shape[-1] == v.shape[-1]
    assert q.shape[-1] % 8 == 0, "the kernels take multiples of 8"
    assert all(x.stride(-1) == 1 for x in (q, k, v))
    out, lse = torch.empty_like(q), q.new_empty(q.shape[1], q.shape[0])
    for rows, columns in _sequences(bounds_q, bounds_k):
        scores = _scores(q[rows], k[columns], scale, causal, **windows)
        lse[:, rows] = scores.logsumexp(-1)
        weights = (scores - lse[:, rows, None]).exp()
        out[rows] = (weights @ _shared(v[columns], q)).transpose(0, 1)
    state = torch.zeros(2, dtype=torch.uint64)
    return out, lse, state, torch.zeros((), dtype=torch.uint64), q.new_empty(0)


def _backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    bounds_q: Tensor,
    bounds_k: Tensor,
    longest_q: int,
    longest_k: int,
    dropout: float,
    causal: bool,
    state: Tensor,
    unused: Tensor,
    *,
    scale: float,
    **windows: int | None,
) -> tuple[Tensor, Tensor, Tensor]:
    calls.append("backward")
    _check(q, bounds_q, longest_q)
    _check(k, bounds_k, longest_k)
    assert lse.shape == (q.shape[1], q.shape[0])
    assert state.numel() == 2
    dq, dk, dv = (torch.zeros_like(x) for x in (q, k, v))
    for rows, columns in _sequences(bounds_q, bounds_k):
        weights = (
            _scores(q[rows], k[columns], scale, causal, **windows) - lse[:, rows, None]
        ).exp()
        grad_HTE = grad[rows].transpose(0, 1)
        shift = (grad[rows] * out[rows]).sum(-1).t()[..., None]
        dscores = weights * (grad_HTE @ _shared(v[columns], q).mT - shift) * scale
        dq[rows] = (dscores @ _shared(k[columns], q)).transpose(0, 1)
        dk[columns] = _folded(dscores.mT @ q[rows].transpose(0, 1), k)
        dv[columns] = _folded(weights.mT @ grad_HTE, k)
    return dq, dk, dv


def _check(x: Tensor, bounds: Tensor, longest: int) -> None:
    assert bounds.dtype == torch.int32
    lengths = bounds.diff()
    assert int(bounds[0]) == 0
    assert int(bounds[-1]) == len(x)
    assert int(lengths.min()) > 0, "the kernels were not read for empty sequences"
    assert int(lengths.max()) == longest


def _sequences(bounds_q: Tensor, bounds_k: Tensor) -> Iterator[tuple[slice, slice]]:
    q, k = bounds_q.tolist(), bounds_k.tolist()
    assert len(q) == len(k)
    for i in range(len(q) - 1):
        yield slice(q[i], q[i + 1]), slice(k[i], k[i + 1])


def _scores(
    q: Tensor,
    k: Tensor,
    scale: float,
    causal: bool,
    window_size_left: int | None = None,
    window_size_right: int | None = None,
    **others: Any,
) -> Tensor:
    assert not any(value is not None for value in others.values())
    scores = scale * q.transpose(0, 1) @ _shared(k, q).mT
    query = torch.arange(len(q))[:, None] + len(k) - len(q)
    key = torch.arange(len(k))
    hidden = torch.zeros(len(q), len(k), dtype=torch.bool)
    right = 0 if causal else window_size_right
    if right is not None and right >= 0:
        hidden |= key > query + right
    if window_size_left is not None and window_size_left >= 0:
        hidden |= key < query - window_size_left
    return scores.masked_fill(hidden, float("-inf"))


def _shared(x: Tensor, q: Tensor) -> Tensor:
    """[K, J, E] -> [H, K, E]"""
    return x.transpose(0, 1).repeat_interleave(q.shape[1] // x.shape[1], dim=0)


def _folded(grad_HKE: Tensor, k: Tensor) -> Tensor:
    """[H, K, E] -> [K, J, E]"""
    repeats = len(grad_HKE) // k.shape[1]
    return grad_HKE.unflatten(0, (-1, repeats)).sum(1).transpose(0, 1)
