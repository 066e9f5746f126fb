"""Random groups and batches for the learner's tests."""

from __future__ import annotations

import random

from r1.types import TrainBatch, TrainGroup, TrainResponse

VOCAB = 258


def make_groups(
    seed: int = 0,
    prompts: tuple[int, ...] = (1, 19, 40, 7),
    lengths: tuple[tuple[int, ...], ...] = ((1, 2, 9), (31,), (60, 1, 12, 31, 5), (8, 8)),
) -> list[TrainGroup]:
    """Ragged groups: one-token prompts, one-token responses, single responses among them."""
    draw = random.Random(seed)

    def tokens(n: int) -> list[int]:
        return [draw.randrange(2, VOCAB) for _ in range(n)]

    groups = []
    for width, sizes in zip(prompts, lengths, strict=True):
        responses = [
            TrainResponse(
                tokens(n), [-5.0 + draw.random() for _ in range(n)], [draw.uniform(-1, 1)] * n
            )
            for n in sizes
        ]
        groups.append(TrainGroup(tuple(tokens(width)), responses))
    return groups


def make_batch_of(
    groups: list[TrainGroup], skipped: int = 0, skipped_tokens: int = 0
) -> TrainBatch:
    """A TrainBatch in which `skipped` further responses count in the denominators only."""
    responses = [response for group in groups for response in group.responses]
    tokens = sum(len(response.token_ids) for response in responses)
    return TrainBatch(groups, len(responses) + skipped, tokens + skipped_tokens)
