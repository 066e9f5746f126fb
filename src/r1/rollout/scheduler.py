"""Continuous batching: when samples enter and leave the batch.

    admit (prefill new groups, draw first tokens) -> retire ended rows -> decode -> retire -> ...

A sample leaves at the very step it ends: the last living row takes its place, so that living rows
are always rows 0..n-1 of every tensor. Waiting samples enter in the order of the requests, some at
a time, as rows and prompt slots become free. The order of events depends on the requests alone.

Room is reserved in full (a row for its longest possible response), so nothing is ever evicted.
The host learns of a step through one transfer: the indices of the ended rows.

Shapes: B rows (n of them living), P prompts of a prefill, V vocabulary, To own columns.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from ctypes import CDLL
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from r1.rollout import native
from r1.rollout.kv_cache import AttentionStep, DecodeStep, Grouping, KVMemory
from r1.rollout.prefill import prefill
from r1.rollout.prefixes import Prefixes
from r1.rollout.protocol import FinishedGroup
from r1.rollout.refill import Under, parts, refill
from r1.rollout.sampler import draw, seed_keys, uniforms
from r1.rollout.settings import SamplingSettings
from r1.rollout.text import StopStrings, decode
from r1.types import Completion, GroupRequest

# Rows of the state: the last token, its position, its index in the response, the sample's key for
# `uniforms`, the most tokens it may have.
TOKEN, POSITION, LENGTH, KEY, LIMIT = range(5)
_ENDS, _MAY_STOP = 1, 2


@dataclass(frozen=True, slots=True)
class Room:
    """Sizes of the memory: rows x own columns + slots x prompt columns."""

    rows: int
    own: int
    slots: int
    prompt: int

    @staticmethod
    def plan(
        prompt_lengths: Sequence[int],
        limits: Sequence[int],
        num_samples: Sequence[int],
        max_batch: int,
        max_kv_tokens: int,
    ) -> Room:
        """Return the most rows that fit; rows is 0 if not even one does."""
        own, prompt = max(limits), max(prompt_lengths)
        rows = min(max_batch, sum(num_samples))
        smallest = min(num_samples)
        while rows:
            # Twice what fills the rows: groups down to their last samples hold a slot too.
            slots = min(len(limits), rows, max(1, 2 * math.ceil(rows / smallest)))
            if rows * own + slots * prompt <= max_kv_tokens:
                return Room(rows, own, slots, prompt)
            rows -= 1
        return Room(0, own, 0, prompt)


@dataclass(slots=True, eq=False)
class _Group:
    request: GroupRequest
    order: int
    limit: int
    entered: int = 0
    ended: int = 0
    slot: int = -1
    first_logits_V: Tensor | None = None
    completions: list[Completion | None] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)  # of samples that have entered


class Rollout:
    """One call of generate: its memory, its rows, its waiting groups.

    loads: how often the model had taken new weights when `memory` was last in accord with it.
    prefixes: prompts of earlier calls, whose keys and values need not be computed again.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        requests: Sequence[GroupRequest],
        limits: Sequence[int],
        sampling: SamplingSettings,
        room: Room,
        memory: KVMemory,
        functions: CDLL | None,
        end_ids: Sequence[int],
        prefill_tokens: int,
        version: int,
        loads: int,
        prefixes: Prefixes | None = None,
    ) -> None:
        self.loads, self.prefixes = loads, prefixes
        self.model, self.tokenizer, self.sampling = model, tokenizer, sampling
        self.device, self.version = model.device, version
        self.room, self.prefill_tokens = room, prefill_tokens
        self.waiting: deque[_Group] = deque()
        self.num_waiting = self.num_asked = 0
        self.add(requests, limits)
        self.memory, self.functions = memory, functions
        vocab_size = model.get_output_embeddings().weight.shape[0]
        self.stops = StopStrings(tokenizer, sampling.stop, vocab_size) if sampling.stop else None
        marks_V = np.zeros(vocab_size, dtype=np.uint8)
        if self.stops:
            marks_V[self.stops.candidates_V] |= _MAY_STOP
        marks_V[[i for i in end_ids if i < vocab_size]] |= _ENDS
        self.marks_V = torch.from_numpy(marks_V).to(self.device)
        self.end_ids = frozenset(end_ids)

        self.n = 0
        self.state = torch.zeros(5, room.rows, dtype=torch.int64, device=self.device)
        self.tokens = torch.zeros(room.rows, room.own, dtype=torch.int64, device=self.device)
        self.logprobs = torch.zeros(room.rows, room.own, device=self.device)
        self.samples: list[tuple[_Group, int]] = []  # of rows 0..n-1
        self.slot_B = np.zeros(room.rows, dtype=np.int64)
        self.length_B = np.zeros(room.rows, dtype=np.int64)  # host's copy of state[LENGTH]
        self.slots: list[_Group] = []  # groups of slots 0..s-1
        self.grouping: Grouping | None = None

    def add(self, requests: Sequence[GroupRequest], limits: Sequence[int]) -> None:
        """Queue more groups; each must fit (`room`)."""
        for request, limit in zip(requests, limits, strict=True):
            samples: list[Completion | None] = [None] * len(request.seeds)
            self.waiting.append(_Group(request, self.num_asked, limit, completions=samples))
            self.num_asked += 1
            self.num_waiting += len(samples)

    @torch.inference_mode()
    def renew(self, version: int) -> None:
        """Continue under the model's new weights; stored keys and values are recomputed."""
        self.version = version
        if self.prefixes is not None:
            self.prefixes.clear()
        lengths = [len(group.request.prompt_ids) for group in self.slots]
        for part in parts(lengths, self.prefill_tokens):
            groups = self.slots[part]
            for group, logits_V in zip(groups, self._prefill(groups), strict=True):
                if group.entered < len(group.request.seeds):
                    group.first_logits_V = logits_V
        under = [
            Under(row, group.request.prompt_ids, self.tokens[row, : self.length_B[row]].tolist())
            for row, (group, _) in enumerate(self.samples)
            if self.length_B[row]
        ]
        refill(self.model, self.memory, under, self.prefill_tokens)

    @property
    def done(self) -> bool:
        """Whether every sample has ended."""
        return not (self.waiting or self.n)

    def step(self) -> list[FinishedGroup]:
        """Admit waiting samples, draw one token per living row; return the completed groups."""
        finished = self._retire(*self._admit()) if self._should_admit() else []
        if self.n:
            finished += self._retire(0, self._decode())
        return finished

    def run_one(self) -> Iterator[tuple[int, Completion | None]]:
        """Yield the tokens of a single sample as they are drawn, the last with its completion."""
        finished = self._retire(*self._admit())
        while not finished:
            yield int(self.state[TOKEN, 0]), None
            finished = self._retire(0, self._decode())
        completion = finished[0].completions[0]
        yield completion.token_ids[-1], completion

    def _should_admit(self) -> bool:
        """Whether to admit now: in batches of an eighth of the rows, as a prefill costs the
        overhead of a whole pass."""
        if not self.waiting or (not self.waiting[0].entered and len(self.slots) == self.room.slots):
            return False
        return self.room.rows - self.n >= min(self.num_waiting, max(1, self.room.rows // 8))

    @torch.inference_mode()
    def _admit(self) -> tuple[int, Tensor]:
        """Fill free rows; return the first new row and the new rows that ended."""
        first = self.n
        free = self.room.rows - self.n
        new: list[_Group] = []
        entering: list[tuple[_Group, int]] = []
        num_tokens = 0
        while self.waiting and free:
            group = self.waiting[0]
            if group.slot < 0:
                length = len(group.request.prompt_ids)
                full = len(self.slots) == self.room.slots
                if full or (new and num_tokens + length > self.prefill_tokens):
                    break
                num_tokens += length
                group.slot = len(self.slots)
                self.slots.append(group)
                new.append(group)
            take = min(free, len(group.request.seeds) - group.entered)
            entering += [(group, group.entered + i) for i in range(take)]
            group.entered += take
            free -= take
            if group.entered == len(group.request.seeds):
                self.waiting.popleft()
        self.num_waiting -= len(entering)
        logits_PV = self._prefill(new) if new else None
        if logits_PV is not None:
            for index, group in enumerate(new):
                group.first_logits_V = logits_PV[index]
        self._place(entering)
        logits_BV = torch.stack([group.first_logits_V for group, _ in entering])  # type: ignore[misc]
        for group, _ in entering:
            if group.entered == len(group.request.seeds):
                group.first_logits_V = None
        return first, self._draw(first, logits_BV)

    def _prefill(self, groups: list[_Group]) -> Tensor:
        """Write the prompts into their slots; return logits [P, V] after each prompt."""
        prompts = [group.request.prompt_ids for group in groups]
        starts = [0] * len(groups)
        if self.prefixes is not None:
            starts = [self.prefixes.load(g.request, self.memory, g.slot) for g in groups]
        logits_PV = prefill(self.model, self.memory, prompts, starts, groups[0].slot)
        if self.prefixes is not None:
            for group in groups:
                self.prefixes.keep(group.request.prompt_ids, self.memory, group.slot)
        return logits_PV

    def _place(self, entering: list[tuple[_Group, int]]) -> None:
        """Give the samples rows from n on, in the state before their first token."""
        rows = slice(self.n, self.n + len(entering))
        columns = [
            (0, len(g.request.prompt_ids) - 1, -1, _signed(g.request.seeds[i]), g.limit)
            for g, i in entering
        ]
        self.state[:, rows] = torch.tensor(columns, dtype=torch.int64).T.to(self.device)
        self.state[KEY, rows] = seed_keys(self.state[KEY, rows])
        self.slot_B[rows] = [group.slot for group, _ in entering]
        self.length_B[rows] = -1
        self.samples += entering
        for group, _ in entering:
            group.versions.append(self.version)
        self.n = rows.stop
        self.grouping = None

    @torch.inference_mode()
    def _decode(self) -> Tensor:
        """Draw one token for every living row; return the rows that may have ended."""
        n = self.n
        logits_BV = self.model(
            input_ids=self.state[TOKEN, None, :n],
            position_ids=self.state[POSITION, None, :n],
            use_cache=False,
            rollout=self._decode_step(),
        ).logits[0]
        return self._draw(0, logits_BV)

    def _decode_step(self) -> AttentionStep:
        n, lengths_B = self.n, self.state[LENGTH, : self.n]
        longest = int(self.length_B[:n].max())
        prompt_lengths = np.array([len(g.request.prompt_ids) for g in self.slots])
        if self.functions and native.fits(self.memory, self.model.config.num_attention_heads):
            slot_B = self.slot_B[:n]
            return native.NativeDecodeStep(
                self.memory, self.functions, slot_B, prompt_lengths, lengths_B, longest
            )
        if self.grouping is None:
            self.grouping = Grouping(self.slot_B[:n], prompt_lengths, self.device)
        even = int(self.length_B[:n].min()) == longest
        return DecodeStep(self.memory, self.grouping, lengths_B, longest, even)

    def _draw(self, first: int, logits_BV: Tensor) -> Tensor:
        """Append a token to rows first..n-1; return the rows that ended or may have."""
        rows = slice(first, self.n)
        state = self.state[:, rows]
        state[POSITION : LENGTH + 1] += 1
        self.length_B[rows] += 1
        length_B = state[LENGTH]
        drawn = draw(logits_BV, uniforms(state[KEY], length_B), self.sampling)
        state[TOKEN] = drawn.tokens_B
        lengths = self.length_B[rows]
        if lengths.min() == lengths.max():
            self.tokens[rows, int(lengths[0])] = drawn.tokens_B
            self.logprobs[rows, int(lengths[0])] = drawn.logprobs_B
        else:
            index_B = torch.arange(first, self.n, device=self.device)
            self.tokens[index_B, length_B] = drawn.tokens_B
            self.logprobs[index_B, length_B] = drawn.logprobs_B
        marked_B = self.marks_V[drawn.tokens_B] > 0
        return (marked_B | (length_B + 1 >= state[LIMIT])).nonzero().squeeze(1)

    @torch.inference_mode()
    def _retire(self, first: int, marked: Tensor) -> list[FinishedGroup]:
        """Remove ended rows; return the groups that are now complete, in request order."""
        if not len(marked):
            return []
        marked = marked + first
        rows = marked.tolist()
        longest = int(self.length_B[rows].max()) + 1
        tokens = self.tokens[marked, :longest].tolist()
        logprobs = self.logprobs[marked, :longest].tolist()
        ended: list[int] = []
        complete: list[_Group] = []
        for row, row_tokens, row_logprobs in zip(rows, tokens, logprobs, strict=True):
            group, index = self.samples[row]
            count = int(self.length_B[row]) + 1
            completion = self._completion(
                row_tokens[:count], row_logprobs[:count], group.limit, group.versions[index]
            )
            if completion is None:
                continue
            ended.append(row)
            group.completions[index] = completion
            group.ended += 1
            if group.ended == len(group.completions):
                complete.append(group)
        self._close_gaps(ended)
        for group in complete:
            self._free_slot(group)
        complete.sort(key=lambda group: group.order)
        return [FinishedGroup(group.request, group.completions) for group in complete]  # type: ignore[arg-type]

    def _completion(
        self, token_ids: list[int], logprobs: list[float], limit: int, version: int
    ) -> Completion | None:
        """Return the finished response, or None if it has not ended."""
        if not math.isfinite(sum(logprobs)):
            raise FloatingPointError(
                "the policy's logits are not finite: the weights have diverged "
                "(lower the learning rate, or check the checkpoint)"
            )
        if token_ids[-1] in self.end_ids:
            text, reason = decode(self.tokenizer, token_ids[:-1]), "stop"
            if self.stops:
                cut = self.stops.cut(text)
                text = text if cut is None else cut
            return Completion(token_ids, logprobs, text, reason, version)
        cut = self.stops.find(token_ids) if self.stops else None
        if cut is not None:
            return Completion(token_ids, logprobs, cut, "stop", version)
        if len(token_ids) < limit:
            return None
        return Completion(token_ids, logprobs, decode(self.tokenizer, token_ids), "length", version)

    def _close_gaps(self, ended: list[int]) -> None:
        """Fill ended rows with the last living ones."""
        if not ended:
            return
        gone = set(ended)
        n = self.n - len(ended)
        targets = [row for row in ended if row < n]
        sources = [row for row in range(n, self.n) if row not in gone]
        if targets:
            columns = int(self.length_B[sources].max()) + 1
            moved = torch.tensor([sources, targets], device=self.device)
            self.memory.move_rows(sources, targets, columns)
            for tensor in (self.tokens, self.logprobs):
                tensor[moved[1], :columns] = tensor[moved[0], :columns]
            self.state[:, moved[1]] = self.state[:, moved[0]]
            self.slot_B[targets] = self.slot_B[sources]
            self.length_B[targets] = self.length_B[sources]
            for source, target in zip(sources, targets, strict=True):
                self.samples[target] = self.samples[source]
        del self.samples[n:]
        self.n = n
        self.grouping = None

    def _free_slot(self, group: _Group) -> None:
        """Release a prompt slot; the last slot takes its place."""
        last = self.slots.pop()
        if last is not group:
            self.memory.move_slot(last.slot, group.slot)
            self.slot_B[: self.n][self.slot_B[: self.n] == last.slot] = group.slot
            self.slots[group.slot] = last
            last.slot = group.slot
        group.slot = -1
        self.grouping = None


def _signed(seed: int) -> int:
    """Return a seed of any size as a signed 64-bit integer."""
    seed &= (1 << 64) - 1
    return seed - (1 << 64) if seed >> 63 else seed
