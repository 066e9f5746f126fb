"""Assign micro-batches to ranks so that all finish together.

Sharded ranks compute in lockstep: layer by layer they gather each other's parameters, so that the
slowest micro-batch of a round decides how long the round takes. Responses are packed best fit,
longest first (`learner.microbatch`), into rows within the budget; the rows are sorted by size and
dealt in rounds of one a rank, the ranks in turn forwards and backwards, so that the rows of a round
are of similar size and the sums even out. Of some smaller row sizes and finer cuts of the groups
(whose prompts are then computed more than once) the one with the shortest critical path is taken.
The last round is padded with rows that teach nothing. Rows of examples (supervised fine-tuning,
reward models) are dealt in the same rounds; there the finer ways to pack are smaller rows alone.

The same responses give the same rows on every rank; only the share differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from r1.learner.microbatch import IDLE, IndexedResponse, MicroBatch, split_microbatches

Row = TypeVar("Row")
Rounds = list[list[Row | None]]


def balanced(
    responses: Sequence[IndexedResponse], budget: int, num_ranks: int
) -> list[list[MicroBatch]]:
    """Return each rank's micro-batches, the same number for all; none without responses."""

    def in_order(micros: list[MicroBatch]) -> list[MicroBatch]:
        return sorted(micros, key=lambda micro: micro.indices[0])

    def finer(even: int) -> Iterable[list[MicroBatch]]:
        for size, pieces in ((1.0, 1), (1.1, 4), (1.25, 4), (1.25, 2)):
            row = min(budget, math.ceil(size * even))
            yield in_order(split_microbatches(responses, row, max(1, row // pieces)))

    full = in_order(split_microbatches(responses, budget))
    dealt = _assign(full, finer, lambda micro: micro.num_tokens, num_ranks)
    idle = MicroBatch([IDLE], [])
    return [[idle if micro is None else micro for micro in rows] for rows in dealt]


def balanced_rows(
    pack: Callable[[int], Sequence[Row]], size: Callable[[Row], int], budget: int, num_ranks: int
) -> Rounds[Row]:
    """Return each rank's rows, the same number for all; None pads.

    pack: rows of at most so many tokens. size: tokens of a row.
    """

    def finer(even: int) -> Iterable[Sequence[Row]]:
        for factor in (1.0, 1.1, 1.25, 1.5):
            yield pack(min(budget, math.ceil(factor * even)))

    return _assign(pack(budget), finer, size, num_ranks)


def _assign(
    full: Sequence[Row],
    finer: Callable[[int], Iterable[Sequence[Row]]],
    size: Callable[[Row], int],
    num_ranks: int,
) -> Rounds[Row]:
    """Assign rows that fill the budget, or smaller ones if that takes less time.

    finer: given the tokens of a row if all were even, other ways to pack.
    """
    if not full:
        return [[] for _ in range(num_ranks)]

    def cost(rounds: Rounds[Row]) -> int:
        """Return the tokens on the critical path: a round takes as long as its largest row."""
        return sum(max(size(row) for row in rows if row is not None) for rows in rounds)

    room = math.ceil(len(full) / num_ranks) * num_ranks
    even = math.ceil(sum(size(row) for row in full) / room)
    best = _in_rounds(full, size, num_ranks)
    for rows in finer(even):
        if len(rows) <= room:
            best = min(best, _in_rounds(rows, size, num_ranks), key=cost)
    dealt: Rounds[Row] = [[] for _ in range(num_ranks)]
    for turn, one_each in enumerate(best):
        for rank, row in enumerate(one_each if turn % 2 == 0 else reversed(one_each)):
            dealt[rank].append(row)
    return dealt


def _in_rounds(rows: Sequence[Row], size: Callable[[Row], int], num_ranks: int) -> Rounds[Row]:
    """Sort rows by size and give each rank one per round; the last round is padded."""
    ordered: list[Row | None] = [*sorted(rows, key=lambda row: -size(row))]
    ordered += [None] * (-len(ordered) % num_ranks)
    return [ordered[i : i + num_ranks] for i in range(0, len(ordered), num_ranks)]
