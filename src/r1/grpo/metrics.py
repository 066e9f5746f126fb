"""What a step reports: rewards and their parts, lengths, reflection, and seconds by phase."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from r1.grpo.batch import BatchStats
from r1.reflection import count_checking_words, self_checks
from r1.types import Completion, Outcome, Reward, ScoredGroup

ACCURACY, LANGUAGE = "accuracy", "language"


class PhaseTimer:
    """Wall-clock seconds by phase; a phase entered twice adds up."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what runs inside."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def metrics(self) -> dict[str, float]:
        """`seconds/<phase>` and `seconds/total`."""
        named = {f"seconds/{name}": seconds for name, seconds in self.seconds.items()}
        return {**named, "seconds/total": time.perf_counter() - self.started}


def step_metrics(
    scored_P: list[ScoredGroup],
    stats: BatchStats,
    update: Mapping[str, float],
    timer: PhaseTimer,
) -> dict[str, float]:
    """Everything one step puts into metrics.jsonl (and, with seconds/ and speed/, timings.jsonl).

    Rewards and the pass rate are means over samples with a verdict (a part's: over those that
    have the part, since families of problems have rewards of their own), the rest over all samples.
    language_consistency is the language reward's mean over those that think in words at all.
    """
    completions = [c for scored in scored_P for c in scored.group.completions]
    rewards = [r for scored in scored_P for r in scored.rewards]
    update = dict(update)
    seconds_update = update.pop("seconds", 0.0)
    processed = update.get("tokens_processed", 0.0)
    num_tokens = sum(len(c.token_ids) for c in completions)
    return {
        **_reward_metrics(rewards),
        **_length_metrics(completions),
        **_reflection_metrics(completions),
        "zero_variance": stats.zero_variance,
        "invalid": stats.invalid,
        "responses_trained": float(stats.responses_trained),
        **update,
        **timer.metrics(),
        "speed/rollout_tokens": num_tokens / max(1e-9, timer.seconds.get("rollout", 0.0)),
        "speed/update_tokens": processed / max(1e-9, seconds_update),
    }


def _reward_metrics(rewards: list[Reward]) -> dict[str, float]:
    valid = [reward for reward in rewards if reward.valid]
    metrics = {"reward": _mean([reward.total for reward in valid])}
    for name in dict.fromkeys(name for reward in rewards for name in reward.parts):
        scores = [reward.parts[name] for reward in rewards if name in reward.parts]
        judged = [score for score in scores if score.outcome.is_verdict]
        metrics[f"reward/{name}"] = _mean([score.value for score in judged])
        if name == ACCURACY:
            correct = [score.outcome == Outcome.CORRECT for score in judged]
            metrics["pass_rate"] = _mean(correct)
            counts = Counter(score.outcome for score in scores)
            metrics |= {f"outcome/{outcome}": float(counts[outcome]) for outcome in Outcome}
        if name == LANGUAGE:
            thinking = [score.value for score in judged if score.outcome != Outcome.UNPARSEABLE]
            if thinking:
                metrics["language_consistency"] = _mean(thinking)
    return metrics


def _length_metrics(completions: list[Completion]) -> dict[str, float]:
    lengths = [len(completion.token_ids) for completion in completions]
    return {
        "length_mean": _mean(lengths),
        "length_max": float(max(lengths)),
        "truncated": _mean([c.finish_reason == "length" for c in completions]),
    }


def _reflection_metrics(completions: list[Completion]) -> dict[str, float]:
    return {
        "self_check_share": _mean([self_checks(c.text) for c in completions]),
        "checking_words": _mean([count_checking_words(c.text) for c in completions]),
    }


def _mean(values: list) -> float:
    return sum(values) / len(values) if values else 0.0
