"""Keys and values of prompts that were computed, kept for later prompts that begin with them.

A tree search asks for the next steps of a branch, then for those of what was drawn: each prompt is
an earlier one and a step. What is kept of a prompt is the part that no kept prompt begins with:

    "2 + 3 * 4 =" <- " 2 + 12 =" <- " 14"        three prompts, each token once

so that memory grows with the tree's tokens and not with its paths. Above `max_tokens` the prompts
that were not used for the longest time go, those first on which no other rests.

Rounding differs a little from a prompt computed whole, and what is kept depends on the calls
before: whoever must repeat numbers to the last digit opens and closes it around the same calls
(r1.search.engine does, around each search).

Shapes: L layers, Hkv key/value heads, T tokens, D key or value width.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from r1.rollout.kv_cache import KVMemory

StackName = tuple[str, int, int]
"""A stack of KVMemory: "key" or "value", heads, width."""


@dataclass(slots=True, eq=False)
class _Kept:
    """A prompt's own part, from token `start` on, by stack [L, Hkv, T, D]."""

    start: int
    parent: _Kept | None
    parts: dict[StackName, Tensor]
    ids: tuple[int, ...]
    num_children: int = 0


class Prefixes:
    """The kept prompts of one engine. reused: by request, tokens that were not computed again."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.num_tokens = 0
        self.reused: dict[str, int] = {}
        self._kept: OrderedDict[tuple[int, ...], _Kept] = OrderedDict()
        self._lengths: dict[int, int] = {}
        self._shapes: dict[int, tuple[StackName, StackName]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Drop everything: the weights have changed."""
        self._kept.clear()
        self._lengths.clear()
        self.num_tokens = 0

    def load(self, ids: tuple[int, ...], memory: KVMemory, slot: int) -> int:
        """Write the longest kept beginning of a prompt into its slot; return its tokens.

        At least the prompt's last token is left to compute: what follows it is drawn from there.
        """
        found = self._longest(ids)
        if found is None:
            return 0
        memory.prepare(self._shapes, {name: part[0] for name, part in found.parts.items()})
        node: _Kept | None = found
        while node is not None:
            self._kept.move_to_end(node.ids)
            end = node.start + next(iter(node.parts.values())).shape[2]
            for name, part in node.parts.items():
                memory.stacks[name][1][:, slot, :, node.start : end] = part
            node = node.parent
        return min(len(found.ids), len(ids) - 1)

    def keep(self, ids: tuple[int, ...], memory: KVMemory, slot: int) -> None:
        """Keep a prompt that lies in a slot, whole."""
        if ids in self._kept:
            return
        parent = self._longest(ids)
        start = len(parent.ids) if parent else 0
        if len(ids) - start > self.max_tokens:
            return
        parts = {
            name: prompts[:, slot, :, start : len(ids)].clone()
            for name, (_, prompts) in memory.stacks.items()
        }
        if parent is not None:
            parent.num_children += 1
        self._shapes = memory.shapes
        self._kept[ids] = _Kept(start, parent, parts, ids)
        self._lengths[len(ids)] = self._lengths.get(len(ids), 0) + 1
        self.num_tokens += len(ids) - start
        self._evict()

    def _longest(self, ids: tuple[int, ...]) -> _Kept | None:
        for length in sorted(self._lengths, reverse=True):
            if length <= len(ids) and (found := self._kept.get(ids[:length])) is not None:
                return found
        return None

    def _evict(self) -> None:
        """Drop prompts until the rest fits."""
        while self.num_tokens > self.max_tokens:
            oldest = next(each for each in self._kept.values() if not each.num_children)
            del self._kept[oldest.ids]
            self.num_tokens -= len(oldest.ids) - oldest.start
            if oldest.parent is not None:
                oldest.parent.num_children -= 1
            length = len(oldest.ids)
            self._lengths[length] -= 1
            if not self._lengths[length]:
                del self._lengths[length]
