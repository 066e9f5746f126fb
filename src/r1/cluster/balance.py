"""Deal micro-batches out to ranks so that all finish together.

Sharded ranks compute in lockstep: layer by layer they gather each other's parameters, so that the
slowest micro-batch of a round decides how long the round takes. Responses are packed best fit,
longest first (`learner.microbatch`), into rows within the budget; the rows are sorted by size and
dealt in rounds of one a rank, the ranks in turn forwards and backwards, so that the rows of a round
are of similar size and the sums even out. Of some smaller row sizes and finer cuts of the groups
(whose prompts are then computed more than once) the one with the shortest critical path is taken.
What is missing in the last round are rows that teach nothing.

The same responses give the same rows on every rank; only the share differs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from r1.learner.microbatch import IndexedResponse, MicroBatch, split_microbatches
from r1.types import TrainGroup, TrainResponse


def balanced(
    responses: Sequence[IndexedResponse], budget: int, num_ranks: int
) -> list[list[MicroBatch]]:
    """Micro-batches of each rank, as many for every rank; none at all without responses."""
    if not responses:
        return [[] for _ in range(num_ranks)]
    full = split_microbatches(responses, budget)
    rounds = math.ceil(len(full) / num_ranks)
    room = rounds * num_ranks
    even = math.ceil(sum(micro.num_tokens for micro in full) / room)
    best = _in_rounds(full, num_ranks)
    for size, pieces in ((1.0, 1), (1.1, 4), (1.25, 4), (1.25, 2)):
        row = min(budget, math.ceil(size * even))
        finer = split_microbatches(responses, row, max(1, row // pieces))
        if len(finer) <= room:
            best = min(best, _in_rounds(finer, num_ranks), key=_cost)
    dealt: list[list[MicroBatch]] = [[] for _ in range(num_ranks)]
    for turn, rows in enumerate(best):
        for rank, micro in enumerate(rows if turn % 2 == 0 else reversed(rows)):
            dealt[rank].append(micro)
    return dealt


def _in_rounds(micros: list[MicroBatch], num_ranks: int) -> list[list[MicroBatch]]:
    """Rows sorted by size, one a rank in every round; the last round is filled up."""
    ordered = sorted(micros, key=lambda micro: (-micro.num_tokens, micro.indices[0]))
    ordered += [_idle(ordered[-1])] * (-len(ordered) % num_ranks)
    return [ordered[i : i + num_ranks] for i in range(0, len(ordered), num_ranks)]


def _cost(rounds: list[list[MicroBatch]]) -> int:
    """Tokens on the critical path: a round takes as long as its largest row."""
    return sum(max(micro.num_tokens for micro in rows) for rows in rounds)


def _idle(pattern: MicroBatch) -> MicroBatch:
    """The smallest row there can be, of tokens the model knows; it teaches nothing."""
    token = pattern.groups[0].prompt_ids[0]
    return MicroBatch([TrainGroup((token,), [TrainResponse([token], [0.0], 0.0, 0.0)])], [])
