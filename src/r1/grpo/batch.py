"""From scored groups to a TrainBatch: advantages, overlong answers, groups that teach nothing.

* A sample whose verifier failed is left out of its group's mean, of the update and of every count.
* A response that ran into the token limit is kept, masked (no loss, yet counted, and its reward
  still moves its group's mean) or charged DAPO's soft penalty: with limit L and buffer b a length l
  above L - b adds (L - b - l) / b to the reward, -1 at the limit (2503.14476, section 3.4).
* A group has no signal where no response that is trained has an advantage: its rewards, penalty
  included, are all equal, or what differs is masked. Without a KL term it contributes no gradient,
  so it is not computed at all; it still counts in the denominators, so that leaving it out changes
  nothing. With a KL term it is kept: the reference still pulls on it.

Left out on purpose: sampling again in place of such groups (dynamic sampling, in `train`, which
asks `has_signal` here).
"""

from __future__ import annotations

from typing import NamedTuple

from r1.grpo.advantage import group_advantages
from r1.grpo.settings import GRPOSettings
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
    """advantages_PG is nested as the groups and their samples; None where there was no verdict."""

    batch: TrainBatch
    stats: BatchStats
    advantages_PG: list[list[float | None]]


def make_batch(
    scored_P: list[ScoredGroup], settings: GRPOSettings, max_new_tokens: int
) -> BatchWithStats:
    """Build what one update learns from, and what the metrics say about it."""
    groups: list[TrainGroup] = []
    advantages_PG: list[list[float | None]] = []
    num_responses = num_tokens = num_zero = num_overlong = num_samples = 0
    for scored in scored_P:
        completions_G = scored.group.completions
        valid_G = [reward.valid for reward in scored.rewards]
        advantages_G = advantages_of(scored, settings, max_new_tokens)
        advantages_PG.append(
            [a if valid else None for a, valid in zip(advantages_G, valid_G, strict=True)]
        )
        num_samples += len(completions_G)
        num_overlong += sum(c.finish_reason == "length" for c in completions_G)
        num_responses += sum(valid_G)
        num_tokens += sum(
            len(c.token_ids) for c, valid in zip(completions_G, valid_G, strict=True) if valid
        )
        responses = _responses(scored, advantages_G, settings)
        num_zero += not any(response.advantage for response in responses)
        learnt = [r for r in responses if r.advantage or settings.kl_weight > 0]
        if learnt:
            groups.append(TrainGroup(tuple(scored.group.prompt_ids), learnt))
    num_valid = num_responses
    trained = [response for group in groups for response in group.responses]
    stats = BatchStats(
        zero_variance=num_zero / max(1, len(scored_P)),
        invalid=1.0 - num_valid / max(1, num_samples),
        overlong=num_overlong / max(1, num_samples),
        advantage_max=max((abs(response.advantage) for response in trained), default=0.0),
        responses_trained=len(trained),
    )
    return BatchWithStats(TrainBatch(groups, num_responses, num_tokens), stats, advantages_PG)


def has_signal(scored: ScoredGroup, settings: GRPOSettings, max_new_tokens: int) -> bool:
    """Return whether an update would learn from a group's rewards (its KL term aside)."""
    advantages_G = advantages_of(scored, settings, max_new_tokens)
    return any(response.advantage for response in _responses(scored, advantages_G, settings))


def advantages_of(scored: ScoredGroup, settings: GRPOSettings, max_new_tokens: int) -> list[float]:
    """Return a group's advantages, by its shaped rewards; 0.0 where there was no verdict."""
    rewards_G = shaped_rewards(scored, settings, max_new_tokens)
    valid_G = [reward.valid for reward in scored.rewards]
    return group_advantages(rewards_G, valid_G, settings.std, settings.std_epsilon).advantages_G


def shaped_rewards(scored: ScoredGroup, settings: GRPOSettings, max_new_tokens: int) -> list[float]:
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


def _responses(
    scored: ScoredGroup, advantages_G: list[float], settings: GRPOSettings
) -> list[TrainResponse]:
    """What an update may learn from: neither without verdict, nor empty, nor masked."""
    return [
        TrainResponse(completion.token_ids, completion.logprobs, advantage, weight=1.0)
        for completion, reward, advantage in zip(
            scored.group.completions, scored.rewards, advantages_G, strict=True
        )
        if reward.valid
        and completion.token_ids
        and not (settings.overlong == "mask" and completion.finish_reason == "length")
    ]
