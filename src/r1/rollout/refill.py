"""Recompute keys and values of unfinished responses after their weights were replaced.

A response's prompt and the tokens drawn so far go through the model once more, packed with others
as prompts are in a prefill; the keys and values of the drawn tokens replace those in its row. The
last token's are left out: the next decode step computes them.

Left out on purpose: sharing a group's prompt between its rows. It is computed again for each; a
replacement of weights is rare beside the decode steps around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from r1.rollout.kv_cache import KVMemory
from r1.rollout.prefill import Packing


class Under(NamedTuple):
    """An unfinished response: its row in the memory, and the tokens whose keys are stored."""

    row: int
    prompt_ids: Sequence[int]
    own_ids: list[int]

    @property
    def num_tokens(self) -> int:
        return len(self.prompt_ids) + len(self.own_ids)


class RefillStep:
    """Packed prompts with responses; the responses' keys and values are stored in their rows."""

    folded_sin: Tensor | None = None

    def __init__(self, memory: KVMemory, under: Sequence[Under], device: Any) -> None:
        self.memory = memory
        self.packing = Packing([one.num_tokens for one in under], device)
        ends = np.cumsum([one.num_tokens for one in under])
        owns = [len(one.own_ids) for one in under]
        take = [np.arange(end - own, end) for end, own in zip(ends, owns, strict=True)]
        columns = [np.arange(1, own + 1) for own in owns]  # own column 0 stays empty
        self.take_M = torch.from_numpy(np.concatenate(take)).to(device)
        self.columns_M = torch.from_numpy(np.concatenate(columns)).to(device)
        rows = np.repeat([one.row for one in under], owns)
        self.rows_M = torch.from_numpy(rows).to(device)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int
    ) -> Tensor:
        keys, values = self.memory.own_of(layer)
        keys[self.rows_M, :, self.columns_M] = key[self.take_M]
        values[self.rows_M, :, self.columns_M] = value[self.take_M]
        packing, padded = self.packing, self.packing.padded
        mask = packing.causal(window)
        return packing.attend(padded(query), padded(key), padded(value), scaling, mask)


@torch.inference_mode()
def refill(model: Any, memory: KVMemory, under: Sequence[Under], max_tokens: int) -> None:
    """Recompute the stored keys and values of responses, about max_tokens at a time."""
    for part in parts([one.num_tokens for one in under], max_tokens):
        some = under[part]
        ids = [i for one in some for i in (*one.prompt_ids, *one.own_ids)]
        positions = np.concatenate([np.arange(one.num_tokens) for one in some])
        model(
            input_ids=torch.tensor([ids], device=model.device),
            position_ids=torch.from_numpy(positions)[None].to(model.device),
            use_cache=False,
            logits_to_keep=torch.zeros(1, dtype=torch.int64, device=model.device),
            rollout=RefillStep(memory, some, model.device),
        )


def parts(sizes: Sequence[int], budget: int) -> Iterator[slice]:
    """Group neighbours whose sizes sum to at most budget; an oversized item forms its own part."""
    begin = total = 0
    for index, size in enumerate(sizes):
        if index > begin and total + size > budget:
            yield slice(begin, index)
            begin, total = index, 0
        total += size
    if len(sizes) > begin:
        yield slice(begin, len(sizes))
