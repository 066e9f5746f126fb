"""From scored groups to a TrainBatch: advantages, overlong answers, groups that teach nothing.

* A sample whose verifier failed is left out of its group's mean, of the update and of every count.
* A response that ran into the token limit is kept, masked (no loss, yet counted, and its reward
  still moves its group's mean) or charged DAPO's soft penalty: with limit L and buffer b a length l
  above L - b adds (L - b - l) / b to the reward, -1 at the limit (2503.14476, section 3.4).
* A group has no signal where no response that is trained has an advantage: its rewards, penalty
  included, are all equal, or what differs is masked. Without a KL term it contributes no gradient,
  so it is not computed at all; it still counts in the denominators, so that leaving it out changes
  nothing. With a KL term it is kept: the reference still pulls on it. An algorithm that compares
  over the whole batch learns from every group.

Left out on purpose: sampling again in place of such groups (dynamic sampling, in `r1.sampling`,
which asks `has_signal` here).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from r1.algorithms.protocol import Algorithm, RewardedGroup
from r1.algorithms.settings import AlgorithmSettings
from r1.types import ScoredGroup, TrainBatch, TrainGroup, TrainResponse


class BatchStats(NamedTuple):
    """Shares are of groups (zero_variance: without signal) or of samples (invalid, overlong), in
    [0, 1]."""

    zero_variance: float
    invalid: float
    overlong: float
    advantage_max: float
    responses_trained: int


class BatchWithStats(NamedTuple):
    """advantages_PG: a response's mean over its tokens, nested as the groups and their samples;
    None where there was no verdict."""

    batch: TrainBatch
    stats: BatchStats
    advantages_PG: list[list[float | None]]


def make_batch(
    scored_P: list[ScoredGroup], algorithm: Algorithm, max_new_tokens: int
) -> BatchWithStats:
    """Build what one update learns from, and what the metrics say about it."""
    rewarded_P = [rewarded(scored, algorithm.settings, max_new_tokens) for scored in scored_P]
    advantages_PGT = algorithm.advantages(rewarded_P)
    groups: list[TrainGroup] = []
    num_zero = 0
    for group, advantages_GT in zip(rewarded_P, advantages_PGT, strict=True):
        signal = _signal(group, advantages_GT, algorithm)
        num_zero += not any(signal)
        keep = group.trained_G if algorithm.settings.kl_weight > 0 else signal
        learnt = [
            TrainResponse(completion.token_ids, completion.logprobs, advantages_T, weight=1.0)
            for completion, advantages_T, kept in zip(
                group.scored.group.completions, advantages_GT, keep, strict=True
            )
            if kept
        ]
        if learnt:
            groups.append(TrainGroup(tuple(group.scored.group.prompt_ids), learnt))
    batch = TrainBatch(
        groups,
        num_responses=sum(sum(group.valid_G) for group in rewarded_P),
        num_tokens=sum(_valid_tokens(group) for group in rewarded_P),
    )
    advantages_PG = [
        [_mean(a) if valid else None for a, valid in zip(advantages_GT, group.valid_G, strict=True)]
        for group, advantages_GT in zip(rewarded_P, advantages_PGT, strict=True)
    ]
    return BatchWithStats(batch, _stats(scored_P, batch, num_zero), advantages_PG)


def has_signal(scored: ScoredGroup, algorithm: Algorithm, max_new_tokens: int) -> bool:
    """Return whether an update would learn from a group's rewards (its KL term aside)."""
    group = rewarded(scored, algorithm.settings, max_new_tokens)
    return any(_signal(group, algorithm.advantages([group])[0], algorithm))


def rewarded(
    scored: ScoredGroup, settings: AlgorithmSettings, max_new_tokens: int
) -> RewardedGroup:
    """A group as advantages are computed from it: rewards shaped, samples without verdict
    marked."""
    completions_G = scored.group.completions
    valid_G = [reward.valid for reward in scored.rewards]
    trained_G = [
        valid
        and bool(completion.token_ids)
        and not (settings.overlong == "mask" and completion.finish_reason == "length")
        for completion, valid in zip(completions_G, valid_G, strict=True)
    ]
    return RewardedGroup(
        rewards_G=shaped_rewards(scored, settings, max_new_tokens),
        valid_G=valid_G,
        trained_G=trained_G,
        lengths_G=[len(completion.token_ids) for completion in completions_G],
        scored=scored,
    )


def shaped_rewards(
    scored: ScoredGroup, settings: AlgorithmSettings, max_new_tokens: int
) -> list[float]:
    """Total rewards, with the soft penalty for overlong responses where it is asked for."""
    totals_G = [reward.total for reward in scored.rewards]
    if settings.overlong != "penalty":
        return totals_G
    lengths_G = [len(completion.token_ids) for completion in scored.group.completions]
    return [
        total + overlong_penalty(length, max_new_tokens, settings.overlong_buffer)
        for total, length in zip(totals_G, lengths_G, strict=True)
    ]


def overlong_penalty(length: int, limit: int, buffer: int) -> float:
    """0 up to limit - buffer tokens, then falling linearly to -1 at the limit."""
    excess = length - (limit - buffer)
    return -min(1.0, max(0.0, excess / buffer))


def _signal(
    group: RewardedGroup, advantages_GT: list[list[float]], algorithm: Algorithm
) -> list[bool]:
    """Which responses an update learns from."""
    if algorithm.compared_over == "batch":
        return group.trained_G
    return [
        trained and any(advantages_T)
        for trained, advantages_T in zip(group.trained_G, advantages_GT, strict=True)
    ]


def _stats(scored_P: list[ScoredGroup], batch: TrainBatch, num_zero: int) -> BatchStats:
    completions = [c for scored in scored_P for c in scored.group.completions]
    trained = [response for group in batch.groups for response in group.responses]
    largest = (max(map(abs, response.advantages)) for response in trained)
    return BatchStats(
        zero_variance=num_zero / max(1, len(scored_P)),
        invalid=1.0 - batch.num_responses / max(1, len(completions)),
        overlong=sum(c.finish_reason == "length" for c in completions) / max(1, len(completions)),
        advantage_max=max(largest, default=0.0),
        responses_trained=len(trained),
    )


def _valid_tokens(group: RewardedGroup) -> int:
    return sum(n for n, valid in zip(group.lengths_G, group.valid_G, strict=True) if valid)


def _mean(advantages_T: Sequence[float]) -> float:
    """Exact where all are equal; 0.0 of a response without tokens."""
    if not advantages_T:
        return 0.0
    first = advantages_T[0]
    same = all(a == first for a in advantages_T)
    return first if same else math.fsum(advantages_T) / len(advantages_T)
