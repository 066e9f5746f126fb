"""Draw tokens: one uniform number per token, determined by the sample's own seed.

    u = hash(seed, index of the token) in [0, 1),   token = min{v : sum_{w<=v} p_w > u}

The hash is SplitMix64 (Steele, Lea, Flood 2014) in wrapping 64-bit integers, so a draw depends on
no generator state, hence on no neighbour in the batch and on no order. The cumulative sum runs in
two levels, over blocks and inside the one block hit: one cheap pass at a small vocabulary, and no
drift of a 150,000-term fp32 running sum at a large one.

Log-probabilities are those of softmax(logits / T) before truncation (T = 1 where greedy).

Shapes: B rows, V vocabulary, C blocks, W tokens in a block, K candidates kept after sorting.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from r1.rollout.settings import SamplingSettings

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_FIRST_CANDIDATES = 64


class Drawn(NamedTuple):
    """tokens_B (int64) and the log-probabilities logprobs_B (fp32) they were drawn with."""

    tokens_B: Tensor
    logprobs_B: Tensor


def seed_keys(seeds_B: Tensor) -> Tensor:
    """Return keys of `uniforms` from int64 seeds; near seeds give different streams."""
    return _mix(seeds_B + _GOLDEN)


def uniforms(keys_B: Tensor, index_B: Tensor) -> Tensor:
    """Return float64 numbers in [0, 1): element `index` of the stream of each key."""
    bits_B = _mix(keys_B + index_B * _GOLDEN) >> 11 & (1 << 53) - 1
    return bits_B.double() * 2.0**-53


def _mix(x: Tensor) -> Tensor:
    """Apply SplitMix64's finalizer; the masks make torch's arithmetic shift a logical one."""
    x = (x ^ (x >> 30 & (1 << 34) - 1)) * _MIX_1
    x = (x ^ (x >> 27 & (1 << 37) - 1)) * _MIX_2
    return x ^ (x >> 31 & (1 << 33) - 1)


def draw(logits_BV: Tensor, uniforms_B: Tensor, sampling: SamplingSettings) -> Drawn:
    """Draw one token per row. logits_BV may be overwritten."""
    logits_BV = logits_BV.float()
    if sampling.temperature == 0.0:
        tokens_B = logits_BV.argmax(-1)
        return Drawn(tokens_B, _chosen(logits_BV, tokens_B) - logits_BV.logsumexp(-1))
    if sampling.temperature != 1.0:
        logits_BV = logits_BV.div_(sampling.temperature)
    top_B1 = logits_BV.amax(-1, keepdim=True)
    logits_BV = logits_BV.sub_(top_B1)
    weights_BV = logits_BV.exp()
    blocks_BC = _block_sums(weights_BV)
    total_B = blocks_BC.sum(-1, dtype=torch.float64)
    if sampling.top_p < 1.0 or 0 < sampling.top_k < logits_BV.shape[-1]:
        tokens_B = _draw_truncated(weights_BV, total_B, uniforms_B, sampling)
    else:
        tokens_B = _draw_full(weights_BV, blocks_BC, uniforms_B)
    return Drawn(tokens_B, (_chosen(logits_BV, tokens_B).double() - total_B.log()).float())


def _chosen(values_BV: Tensor, tokens_B: Tensor) -> Tensor:
    return values_BV.gather(-1, tokens_B[:, None]).squeeze(-1)


@lru_cache(maxsize=8)
def _block_width(vocab: int) -> int:
    """Return the vocabulary's divisor nearest to its square root, or 0 if none is near."""
    root = vocab**0.5
    near = [w for w in range(int(root / 8) + 1, int(root * 8) + 1) if vocab % w == 0]
    return min(near, key=lambda w: max(w / root, root / w), default=0)


def _blocks(weights_BV: Tensor) -> Tensor:
    """[B, V] -> [B, C, W], padded with zeros if V has no divisor near its root."""
    width = _block_width(weights_BV.shape[-1])
    if width == 0:
        width = max(int(weights_BV.shape[-1] ** 0.5), 1)
        weights_BV = torch.nn.functional.pad(weights_BV, (0, -weights_BV.shape[-1] % width))
    return weights_BV.view(len(weights_BV), -1, width)


def _block_sums(weights_BV: Tensor) -> Tensor:
    return _blocks(weights_BV).sum(-1)


def _first_above(cumulative: Tensor, target_B: Tensor) -> Tensor:
    """Return the index of the first cumulative weight above the target (NaN: the last)."""
    found_B1 = torch.searchsorted(cumulative, target_B[:, None], right=True)
    return found_B1.clamp_(max=cumulative.shape[-1] - 1).squeeze(-1)


def _draw_full(weights_BV: Tensor, blocks_BC: Tensor, uniforms_B: Tensor) -> Tensor:
    cumulative_BC = blocks_BC.cumsum(-1, dtype=torch.float64)
    target_B = uniforms_B * cumulative_BC[:, -1]
    block_B = _first_above(cumulative_BC, target_B)
    before_B = _chosen(cumulative_BC, block_B) - _chosen(blocks_BC, block_B).double()
    blocks_BCW = _blocks(weights_BV)
    hit_BW = blocks_BCW[torch.arange(len(block_B), device=block_B.device), block_B]
    inside_BW = hit_BW.cumsum(-1, dtype=torch.float64)
    # The block's fp32 sum and its float64 running sum may differ in the last place: scale the
    # target into the block's own sum so that it never falls off either end.
    share_B = (target_B - before_B) / _chosen(blocks_BC, block_B).double()
    inside_B = _first_above(inside_BW, share_B.clamp_(0.0, 1.0 - 2.0**-53) * inside_BW[:, -1])
    return block_B * blocks_BCW.shape[-1] + inside_B


def _draw_truncated(
    weights_BV: Tensor, total_B: Tensor, uniforms_B: Tensor, sampling: SamplingSettings
) -> Tensor:
    """Draw by inverse CDF among the most likely tokens; sort fully only if they are not enough."""
    V = weights_BV.shape[-1]
    K = min(V, sampling.top_k or _FIRST_CANDIDATES)
    while True:
        sorted_BK, order_BK = weights_BV.topk(K, dim=-1)
        cumulative_BK = sorted_BK.cumsum(-1, dtype=torch.float64)
        if K == V or sampling.top_k:
            break
        if bool((cumulative_BK[:, -1] >= sampling.top_p * total_B).all()):
            break
        K = min(V, K * 16)
    whole_B = cumulative_BK[:, -1] if sampling.top_k else total_B
    if sampling.top_p < 1.0:
        before_BK = cumulative_BK - sorted_BK
        sorted_BK = sorted_BK.masked_fill(before_BK >= sampling.top_p * whole_B[:, None], 0.0)
        cumulative_BK = sorted_BK.cumsum(-1, dtype=torch.float64)
    place_B = _first_above(cumulative_BK, uniforms_B * cumulative_BK[:, -1])
    return _chosen(order_BK, place_B)
