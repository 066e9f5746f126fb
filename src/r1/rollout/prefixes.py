"""Keys and values of prompts that were computed, kept for later prompts that begin with them.

A tree search asks for the next steps of a branch, then for those of what was drawn: each prompt is
an earlier one and a step. What is kept of a prompt is the part that no kept prompt begins with:

    "2 + 3 * 4 =" <- " 2 + 12 =" <- " 14"        three prompts, each token once

so that memory grows with the tree's tokens and not with its paths. Nothing is dropped while a
search goes on: what does not fit in `max_tokens` is not kept, and the prompts that came first,
those of the problems and of a tree's first levels, serve most.

Rounding differs a little from a prompt computed whole, and what is kept depends on the calls
before: whoever must repeat numbers to the last digit opens and closes it around the same calls
(r1.search.engine does, around each search).

Shapes: L layers, Hkv key/value heads, T tokens, D key or value width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from r1.rollout.kv_cache import KVMemory
from r1.types import GroupRequest

StackName = tuple[str, int, int]
"""A stack of KVMemory: "key" or "value", heads, width."""


@dataclass(slots=True, eq=False)
class _Kept:
    """A prompt's own part, from token `start` on, by stack [L, Hkv, T, D]."""

    start: int
    parent: _Kept | None
    parts: dict[StackName, Tensor]
    ids: tuple[int, ...]


class Prefixes:
    """The kept prompts of one engine. reused: by request, tokens that were not computed again."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.num_tokens = 0
        self.reused: dict[str, int] = {}
        self._kept: dict[int, _Kept] = {}
        self._shapes: dict[int, tuple[StackName, StackName]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Drop everything: the weights have changed."""
        self._kept.clear()
        self.num_tokens = 0

    def load(self, request: GroupRequest, memory: KVMemory, slot: int) -> int:
        """Write the longest kept beginning of a prompt into its slot; return its tokens.

        At least the prompt's last token is left to compute: what follows it is drawn from there.
        """
        found, _ = self._longest(request.prompt_ids)
        reused = 0 if found is None else min(len(found.ids), len(request.prompt_ids) - 1)
        self.reused[request.id] = reused
        if found is None:
            return 0
        memory.prepare(self._shapes, {name: part[0] for name, part in found.parts.items()})
        node: _Kept | None = found
        while node is not None:
            for name, part in node.parts.items():
                end = node.start + part.shape[2]
                memory.stacks[name][1][:, slot, :, node.start : end] = part
            node = node.parent
        return reused

    def keep(self, ids: tuple[int, ...], memory: KVMemory, slot: int) -> None:
        """Keep a prompt that lies in a slot, whole, if it fits."""
        parent, key = self._longest(ids)
        start = len(parent.ids) if parent else 0
        if start == len(ids) or self.num_tokens + len(ids) - start > self.max_tokens:
            return
        parts = {
            name: prompts[:, slot, :, start : len(ids)].clone()
            for name, (_, prompts) in memory.stacks.items()
        }
        self._shapes = memory.shapes
        self._kept[key] = _Kept(start, parent, parts, ids)
        self.num_tokens += len(ids) - start

    def _longest(self, ids: tuple[int, ...]) -> tuple[_Kept | None, int]:
        """Return the longest kept beginning of a prompt, and the key of the prompt itself.

        A key is the hash of the token and the key before it, so one pass finds all beginnings.
        """
        found, key = None, 0
        for number, token in enumerate(ids, start=1):
            key = hash((key, token))
            kept = self._kept.get(key)
            if kept is not None and kept.ids == ids[:number]:
                found = kept
        return found, key
