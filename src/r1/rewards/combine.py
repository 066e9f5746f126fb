"""Weighted sums of rewards that keep their parts, and counts of the outcomes.

total = sum over rewards of weight × value;  valid only if every part has a verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from r1.judge.counts import JudgeCounts
from r1.types import Outcome, Reward, Score

ALARM_SHARE = 0.02
"""Share of a reward's scores without a verdict from which a step warns of it."""


def combine(parts: dict[str, Score], weights: Mapping[str, float]) -> Reward:
    """Return the weighted sum of a completion's scores; a part without a verdict adds nothing."""
    total = sum(weights[name] * score.value for name, score in parts.items())
    return Reward(total, parts, all(score.outcome.is_verdict for score in parts.values()))


@dataclass(slots=True)
class PoolCounts:
    """How often each reward ended in each outcome since the counts were last taken.

    deepest: the most groups that waited for their scores at one time.
    """

    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    restarts: int = 0
    deepest: int = 0
    judge: JudgeCounts = field(default_factory=JudgeCounts)

    def add(self, reward: Reward) -> None:
        """Count one completion's parts."""
        for name, score in reward.parts.items():
            self.outcomes[name, score.outcome] += 1

    def as_metrics(self) -> dict[str, float]:
        """Return `pool/restarts`, `pool/<reward>/<outcome>` and `queue/rewards`; with a judge also
        `pool/judge/…`.

        They go to timings.jsonl: a worker that is killed, a request sent again, and an evaluation
        between two steps change them and no number of the run.
        """
        metrics = {
            f"pool/{name}/{outcome}": float(number)
            for (name, outcome), number in sorted(self.outcomes.items())
        }
        judged = {f"pool/{name}": number for name, number in self.judge.as_metrics().items()}
        waited = {"pool/restarts": float(self.restarts), "queue/rewards": float(self.deepest)}
        return metrics | waited | judged

    def failed_share(self, name: str) -> float:
        """Return the share of a reward's scores that have no verdict."""
        of_reward = {o: n for (reward, o), n in self.outcomes.items() if reward == name}
        failed = sum(number for outcome, number in of_reward.items() if not outcome.is_verdict)
        return failed / max(1, sum(of_reward.values()))

    def alarm(self, alarm_share: float = ALARM_SHARE) -> str | None:
        """Return a warning if some reward fails more often than alarm_share, else None."""
        for name in sorted({reward for reward, _ in self.outcomes}):
            share = self.failed_share(name)
            if share > alarm_share:
                timed_out = self.outcomes[name, Outcome.TIMED_OUT]
                failed = self.outcomes[name, Outcome.VERIFIER_FAILED]
                return (
                    f"reward {name!r}: {share:.1%} of the scores have no verdict ({timed_out} "
                    f"timed out, {failed} failed); those samples teach nothing. Look at their "
                    "details in the report; a larger rewards.timeout_s or rewards.worker_memory_mb "
                    "(for the judge: rewards.judge's limits) may help."
                )
        return None
