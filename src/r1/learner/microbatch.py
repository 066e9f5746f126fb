"""Split a batch into minibatches (optimiser steps) and micro-batches (what fits in memory at once).

Minibatches are a random split of the responses, seeded by the step (the paper: 8,192 outputs, 16
minibatches). Micro-batches are filled best-fit, longest first, up to a budget of row tokens, a
prompt counting once however many of its responses are in. Everything is deterministic.

Dealing micro-batches out to the ranks of a cluster is `r1.cluster.balance`'s.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from r1.learner.objective import Totals
from r1.types import TrainBatch, TrainGroup, TrainResponse


@dataclass(frozen=True)
class IndexedResponse:
    """A response with its place in the batch: index counts all responses in order."""

    index: int
    group: int
    prompt_ids: tuple[int, ...]
    response: TrainResponse


@dataclass(frozen=True)
class MicroBatch:
    """Groups to be packed in one row; indices of their responses in the same order.

    Without indices it teaches nothing: a rank computes it to keep step with others.
    """

    groups: list[TrainGroup]
    indices: list[int]

    @property
    def num_tokens(self) -> int:
        """Tokens of the row."""
        return sum(
            len(group.prompt_ids) + sum(len(r.token_ids) - 1 for r in group.responses)
            for group in self.groups
        )


IDLE = TrainGroup((0,), [TrainResponse([0], [0.0], [0.0], 0.0)])
"""The smallest row there can be, of a token that every model knows: what a rank without work
computes to keep step with others. It teaches nothing."""


@dataclass(frozen=True)
class MiniBatch:
    """The responses of one optimiser step and the denominators of its loss."""

    responses: list[IndexedResponse]
    totals: Totals


def index_responses(batch: TrainBatch) -> list[IndexedResponse]:
    """All responses of a batch in order."""
    flat: list[IndexedResponse] = []
    for number, group in enumerate(batch.groups):
        for response in group.responses:
            flat.append(IndexedResponse(len(flat), number, group.prompt_ids, response))
    return flat


def split_minibatches(batch: TrainBatch, num_minibatches: int, seed: int) -> list[MiniBatch]:
    """Shuffle the responses and deal them into equal parts (the last differ by one at most).

    Responses that were left out of the batch's groups count in the denominators of every part in
    proportion, so that leaving them out changes no gradient. One part keeps the batch's order.
    """
    flat = index_responses(batch)
    total = len(flat)
    if total == 0:
        return []
    if num_minibatches > 1:
        random.Random(seed).shuffle(flat)
    count = min(num_minibatches, total)
    parts = [flat[total * i // count : total * (i + 1) // count] for i in range(count)]
    trained_tokens = sum(len(item.response.token_ids) for item in flat)
    minibatches = []
    for part in parts:
        share = len(part) / total
        tokens = sum(len(item.response.token_ids) for item in part)
        totals = Totals(
            num_responses=len(part) + share * (batch.num_responses - total),
            num_tokens=tokens + share * (batch.num_tokens - trained_tokens),
        )
        minibatches.append(MiniBatch(sorted(part, key=lambda item: item.index), totals))
    return minibatches


def split_microbatches(
    responses: Sequence[IndexedResponse], budget: int, max_piece: int | None = None
) -> list[MicroBatch]:
    """Pack responses into rows of at most `budget` tokens, siblings together where they fit.

    A group larger than max_piece (the budget, where none is given) is cut and its prompt repeated;
    a single response larger than the budget gets a row of its own.
    """
    pieces: list[tuple[int, list[IndexedResponse]]] = []
    by_group: dict[int, list[IndexedResponse]] = {}
    for item in responses:
        by_group.setdefault(item.group, []).append(item)
    for siblings in by_group.values():
        pieces += _cut(siblings, max_piece or budget)
    pieces.sort(key=lambda piece: (-piece[0], piece[1][0].index))
    bins: list[tuple[int, list[list[IndexedResponse]]]] = []
    for size, siblings in pieces:
        fitting = [i for i, (used, _) in enumerate(bins) if used + size <= budget]
        if fitting:
            best = max(fitting, key=lambda i: (bins[i][0], -i))
            bins[best][1].append(siblings)
            bins[best] = (bins[best][0] + size, bins[best][1])
        else:
            bins.append((size, [siblings]))
    return [_micro_batch(content) for _, content in bins]


def _cut(siblings: list[IndexedResponse], budget: int) -> list[tuple[int, list[IndexedResponse]]]:
    """Cut one group into pieces within the budget; each piece with its size in row tokens.

    Longest first, so that the responses of a piece are of similar length.
    """
    ordered = sorted(siblings, key=lambda item: (-len(item.response.token_ids), item.index))
    prompt = len(siblings[0].prompt_ids)
    pieces: list[tuple[int, list[IndexedResponse]]] = []
    size = prompt
    piece: list[IndexedResponse] = []
    for item in ordered:
        added = len(item.response.token_ids) - 1
        if piece and size + added > budget:
            pieces.append((size, piece))
            size, piece = prompt, []
        piece.append(item)
        size += added
    pieces.append((size, piece))
    return pieces


def _micro_batch(content: list[list[IndexedResponse]]) -> MicroBatch:
    groups = [
        TrainGroup(siblings[0].prompt_ids, [item.response for item in siblings])
        for siblings in content
    ]
    return MicroBatch(groups, [item.index for siblings in content for item in siblings])
