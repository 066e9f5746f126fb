"""Attention over packed rows by unpacking: any device, format, head width and window.

Every bucket of similar length is unpacked to queries [B, T] against the keys prompt + own [B, K]
with an explicit mask, through PyTorch's own attention. The prompt is copied for every response, and
rows of a bucket are padded to its longest. Index tensors and masks are made once a micro-batch.

Shapes: N tokens of the row, H query heads, J key/value heads, E head width, B segments of a bucket,
T tokens of a segment, K keys of a segment.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from r1.learner.packing import LengthBucket, PrefixLayout


class PaddedBucket(NamedTuple):
    """One bucket's part of `padded_attention`: row positions of queries and keys, which query sees
    which key (True, or on CUDA a bias in the queries' format), and the tokens that are no padding,
    counted through [B, T]."""

    queries_BT: Tensor
    keys_BK: Tensor
    mask_B1TK: Tensor
    real: Tensor


class PaddedPlan(NamedTuple):
    """All buckets of a row; order_N brings their real tokens back into the row's order."""

    buckets: tuple[PaddedBucket, ...]
    order_N: Tensor


def padded_attention(
    q_NHE: Tensor,
    k_NJE: Tensor,
    v_NJE: Tensor,
    layout: PrefixLayout,
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Attention of a packed row by unpacking each bucket; any device, differentiable by autograd.

    window: a token sees at most that many tokens, itself included. Returns [N, H, E of value].
    """
    dtype, repeats = q_NHE.dtype, q_NHE.shape[1] // k_NJE.shape[1]
    on_cpu = q_NHE.device.type == "cpu"
    plan = layout.once(("padded", window, dtype), lambda: padded_plan(layout, window, dtype))
    parts = []
    for bucket in plan.buckets:
        q = q_NHE[bucket.queries_BT].transpose(1, 2)
        k, v = (x[bucket.keys_BK].transpose(1, 2) for x in (k_NJE, v_NJE))
        if not on_cpu:  # of CUDA's kernels with a mask none but the quadratic one shares heads
            k, v = repeat_heads(k, repeats), repeat_heads(v, repeats)
        out_BHTE = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=bucket.mask_B1TK, scale=scale, enable_gqa=on_cpu and repeats > 1
        )
        parts.append(out_BHTE.transpose(1, 2).flatten(0, 1).index_select(0, bucket.real))
    return torch.cat(parts).index_select(0, plan.order_N)


def padded_plan(layout: PrefixLayout, window: int | None, dtype: torch.dtype) -> PaddedPlan:
    """Index tensors and masks of `padded_attention`, on the row's device. dtype: of the queries."""
    buckets, places = [], []
    for bucket in layout.buckets:
        keys_BK, mask_BTK = _keys_and_mask(bucket, layout.num_tokens, window)
        if mask_BTK.device.type != "cpu":  # once here, or each layer would make and keep its own
            bias_BTK = torch.zeros(mask_BTK.shape, dtype=dtype, device=mask_BTK.device)
            mask_BTK = bias_BTK.masked_fill_(mask_BTK.logical_not(), torch.finfo(dtype).min / 2)
        width = bucket.index_BT.shape[1]
        real = [torch.arange(s.length) + i * width for i, s in enumerate(bucket.segments)]
        places += [torch.arange(s.start, s.start + s.length) for s in bucket.segments]
        queries_BT = bucket.index_BT.clamp(max=layout.num_tokens - 1)
        index = torch.cat(real).to(layout.device)
        buckets.append(PaddedBucket(queries_BT, keys_BK, mask_BTK[:, None], index))
    order_N = torch.argsort(torch.cat(places)).to(layout.device)
    return PaddedPlan(tuple(buckets), order_N)


def _keys_and_mask(
    bucket: LengthBucket, num_tokens: int, window: int | None
) -> tuple[Tensor, Tensor]:
    """Row positions of each segment's keys (prompt, then own), and which query sees which key."""
    device, tokens = bucket.index_BT.device, bucket.index_BT.shape[1]
    own, begin, shared = (
        torch.tensor([getattr(s, field) for s in bucket.segments], device=device)[:, None]
        for field in ("start", "prompt_start", "prompt_length")
    )
    width = max(s.prompt_length + s.length for s in bucket.segments)
    offset_1K = torch.arange(width, device=device)[None]
    keys_BK = torch.where(offset_1K < shared, begin + offset_1K, own + offset_1K - shared)
    keys_BK = keys_BK.clamp(max=num_tokens - 1)
    position_BT = shared + torch.arange(tokens, device=device)[None]
    mask_BTK = offset_1K[:, None] <= position_BT[..., None]
    if window is not None:
        mask_BTK &= offset_1K[:, None] > position_BT[..., None] - window
    return keys_BK, mask_BTK


def repeat_heads(x_BJTE: Tensor, repeats: int) -> Tensor:
    """Give every query head its key/value head, [B, J, T, E] -> [B, J * repeats, T, E]."""
    return x_BJTE if repeats == 1 else x_BJTE.repeat_interleave(repeats, dim=1)
