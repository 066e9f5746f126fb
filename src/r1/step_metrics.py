"""Metrics of a step: rewards and their parts, lengths, reflection, seconds by phase, and busy
shares of engines and learner.

    seconds/PHASE          wall clock of the loop in a phase; seconds/total of the whole step
    speed/rollout_tokens   response tokens a second of drawing
    speed/update_tokens    tokens learnt from (prompts included) a second of learning
    speed/step_tokens      response tokens a second of the whole step
    busy/engines           share of the step in which an engine drew, mean over replicas;
                           busy/engine_N of each where there are several
    busy/learner           share of the step in which the learner learnt
    queue/engines          groups that waited for an engine, at the most

All of these depend on the machine and go to timings.jsonl. With sampling ahead of learning,
seconds/rollout is what the loop waited for engines, while busy/ and speed/ count their work.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from r1.algorithms.batch import BatchStats
from r1.reflection import count_checking_words, self_checks
from r1.rollout.usage import Usage, Used
from r1.types import Completion, Outcome, Reward, ScoredGroup

ACCURACY, LANGUAGE = "accuracy", "language"


class PhaseTimer:
    """Wall-clock seconds of one step by phase; repeated phases add up.

    usage: of the engines; the step's is what they do from here on.
    """

    def __init__(self, usage: Usage | None = None) -> None:
        self.started = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self._usage = usage
        if usage is not None:
            usage.take()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block."""
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin

    def metrics(self, tokens: float, learnt_tokens: float, learnt_s: float) -> dict[str, float]:
        """Return the timings named in this module's docstring, at the end of the step.

        tokens: of its responses. learnt_tokens, learnt_s: those of the update and its seconds.
        """
        total = time.perf_counter() - self.started
        used = self._usage.take() if self._usage is not None else Used(total, {}, 0.0, 0)
        drawing = max(self.seconds.get("rollout", 0.0), used.any_busy)
        # Sampling ahead, a batch may have been drawn before this step; it then has no such speed.
        drew = {"speed/rollout_tokens": tokens / drawing} if drawing > 0.01 * total else {}
        return {
            **{f"seconds/{name}": seconds for name, seconds in self.seconds.items()},
            "seconds/total": total,
            **drew,
            "speed/update_tokens": learnt_tokens / max(1e-9, learnt_s),
            "speed/step_tokens": tokens / max(1e-9, total),
            **used.shares(),
            "busy/learner": min(1.0, learnt_s / max(1e-9, total)),
            "queue/engines": float(used.deepest),
        }


def step_metrics(
    scored_P: list[ScoredGroup],
    stats: BatchStats,
    update: Mapping[str, float],
    timer: PhaseTimer,
) -> dict[str, float]:
    """Return all metrics of one step, for metrics.jsonl and (of the machine) timings.jsonl.

    Rewards and the pass rate are means over samples with a verdict (a part's: over those that
    have the part, since families of problems have rewards of their own), NaN where none has one:
    a failure of the verifiers must not look like wrong answers. The rest are over all samples.
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
        **timer.metrics(num_tokens, processed, seconds_update),
    }


def staleness_metrics(step: int, scored_P: list[ScoredGroup]) -> dict[str, float]:
    """Return the updates between a sample's weights and the learner's: mean and maximum."""
    ages = [step - c.version for scored in scored_P for c in scored.group.completions]
    return {
        "staleness": sum(ages) / max(1, len(ages)),
        "staleness_max": float(max(ages, default=0)),
    }


def _reward_metrics(rewards: list[Reward]) -> dict[str, float]:
    valid = [reward for reward in rewards if reward.valid]
    metrics = {"reward": _mean_of_judged([reward.total for reward in valid])}
    for name in dict.fromkeys(name for reward in rewards for name in reward.parts):
        scores = [reward.parts[name] for reward in rewards if name in reward.parts]
        judged = [score for score in scores if score.outcome.is_verdict]
        metrics[f"reward/{name}"] = _mean_of_judged([score.value for score in judged])
        if name == ACCURACY:
            correct = [score.outcome == Outcome.CORRECT for score in judged]
            metrics["pass_rate"] = _mean_of_judged(correct)
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


def _mean_of_judged(values: list) -> float:
    return _mean(values) if values else math.nan


def _mean(values: list) -> float:
    return sum(values) / len(values) if values else 0.0
