"""Compute prompts, or what is left of them, into their slots of the memory (kv_cache.py).

Prompts of unequal length are packed into one row [1, N], so that outside attention no arithmetic is
wasted; attention pads them. Where the beginning of a prompt lies in its slot already (prefixes.py)
the rest alone is computed.

Shapes: P prompts, N packed tokens, T tokens of the longest, V vocabulary; see kv_cache.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from r1.rollout.kv_cache import AttentionStep, KVMemory


def prefill(
    model: Any,
    memory: KVMemory,
    prompts: Sequence[Sequence[int]],
    starts_P: Sequence[int],
    first_slot: int,
) -> Tensor:
    """Write prompts into neighbouring slots; return the logits [P, V] after each.

    starts_P: tokens of each that lie in its slot already.
    """
    device = model.device
    rests = [ids[start:] for ids, start in zip(prompts, starts_P, strict=True)]
    lengths = [len(rest) for rest in rests]
    positions = [np.arange(s, s + n) for s, n in zip(starts_P, lengths, strict=True)]
    step: AttentionStep = PrefillStep(memory, lengths, first_slot, device)
    if any(starts_P):
        step = RestStep(memory, lengths, starts_P, first_slot, device)
    logits_PV: Tensor = model(
        input_ids=torch.tensor([[i for rest in rests for i in rest]], device=device),
        position_ids=torch.from_numpy(np.concatenate(positions))[None].to(device),
        use_cache=False,
        logits_to_keep=torch.from_numpy(np.cumsum(lengths) - 1).to(device),
        rollout=step,
    ).logits[0]
    return logits_PV


class Packing:
    """Sequences of unequal length in one row [1, N]: causal attention inside each."""

    def __init__(self, lengths_P: list[int], device: Any) -> None:
        self.P, self.T = len(lengths_P), max(lengths_P)
        self.device = device
        self.even = min(lengths_P) == self.T
        if not self.even:
            valid_PT = np.arange(self.T)[None, :] < np.asarray(lengths_P)[:, None]
            unpack = np.zeros((self.P, self.T), dtype=np.int64)
            unpack[valid_PT] = np.arange(sum(lengths_P))
            self.unpack = torch.from_numpy(unpack.ravel()).to(device)
            self.repack = torch.from_numpy(np.flatnonzero(valid_PT.ravel())).to(device)

    def padded(self, packed: Tensor) -> Tensor:
        """[N, H, D] -> [P, H, T, D]; padding repeats a token, which no valid token attends to."""
        if not self.even:
            packed = packed.index_select(0, self.unpack)
        return packed.reshape(self.P, self.T, *packed.shape[1:]).transpose(1, 2)

    def causal(self, window: int) -> Tensor | None:
        """Return the mask [T, T] of a sliding window, True where a token may attend; None: causal
        attention without one."""
        if not 0 < window < self.T:
            return None
        step = torch.arange(self.T, device=self.device)
        behind = step[:, None] - step[None, :]
        return (behind >= 0) & (behind < window)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, scaling: float, mask: Tensor | None
    ) -> Tensor:
        """Padded queries, keys and values -> [N, H, Dv]; mask None: causal."""
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling,
            enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip
        out = out.transpose(1, 2).reshape(self.P * self.T, q.shape[1], v.shape[-1])
        return out if self.even else out.index_select(0, self.repack)


class PrefillStep:
    """Packed prompts; their keys and values are stored in the given slots."""

    folded_sin: Tensor | None = None

    def __init__(self, memory: KVMemory, lengths_P: list[int], first_slot: int, device: Any):
        self.memory, self.packing = memory, Packing(lengths_P, device)
        self.slots = slice(first_slot, first_slot + len(lengths_P))

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int
    ) -> Tensor:
        padded, T = self.packing.padded, self.packing.T
        q, k, v = padded(query), padded(key), padded(value)
        keys, values = self.memory.prompt_of(layer, key, value)
        keys[self.slots, :, :T] = k
        values[self.slots, :, :T] = v
        return self.packing.attend(q, k, v, scaling, self.packing.causal(window))


class RestStep:
    """The rests of prompts, packed; their beginnings lie in their slots already.

    starts_P: tokens that lie there. lengths_P: tokens of the rests.
    """

    folded_sin: Tensor | None = None

    def __init__(
        self,
        memory: KVMemory,
        lengths_P: Sequence[int],
        starts_P: Sequence[int],
        first_slot: int,
        device: torch.device,
    ) -> None:
        self.memory, self.packing = memory, Packing([*lengths_P], device)
        self.slots = slice(first_slot, first_slot + len(lengths_P))
        columns = [np.arange(start, start + length)
                   for start, length in zip(starts_P, lengths_P, strict=True)]  # fmt: skip
        self.columns_N = torch.from_numpy(np.concatenate(columns)).to(device)
        slots = np.repeat(np.arange(self.slots.start, self.slots.stop), lengths_P)
        self.slots_N = torch.from_numpy(slots).to(device)
        self.width = max(start + length for start, length in zip(starts_P, lengths_P, strict=True))
        self.starts_P = torch.tensor([*starts_P], device=device)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int
    ) -> Tensor:
        keys, values = self.memory.prompt_of(layer, key, value)
        keys[self.slots_N, :, self.columns_N] = key
        values[self.slots_N, :, self.columns_N] = value
        k, v = (stored[self.slots, :, : self.width] for stored in (keys, values))
        return self.packing.attend(self.packing.padded(query), k, v, scaling, self._seen(window))

    def _seen(self, window: int) -> Tensor:
        """Return [P, 1, T, columns], True where a token may attend."""
        device = self.starts_P.device
        place_PT = self.starts_P[:, None] + torch.arange(self.packing.T, device=device)
        behind = place_PT[:, None, :, None] - torch.arange(self.width, device=device)
        return (behind >= 0) & (behind < window) if window else behind >= 0
