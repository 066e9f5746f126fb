"""Verdicts that come late: a batch goes without them, and a later one learns from them.

    group -> verdicts within rewards.late_s                 its own batch
          -> later, at most MAX_AGE updates old             the next batch that is taken
          -> later still, or after the run's end            void

Tests of a repository take minutes; a batch that waits for the slowest keeps the engine and the
learner idle. Where a group's verdicts are not there `late_s` seconds after they were asked for, its
batch has the group without verdicts, as where a verifier times out: nothing is learnt from it, and
nothing is counted as wrong. The verdicts are still made. When they come, the group joins the next
batch where the algorithm corrects for the older policy (importance_cap), and is void where it does
not. All three are counted (`pool/late_...` in timings.jsonl).

The clock decides which batch learns from a group, so that a run carried on after a kill is as valid
as one that was not, but another one; verdicts under way at the kill are void.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from r1.rollout.scored import Counts, ScoreHandle, Scorer
from r1.sampling.protocol import Sampler, Weights
from r1.types import Outcome, Reward, RolloutGroup, Score, ScoredGroup

MAX_AGE = 4
"""Updates between the policy that sampled a late group and the one that learns from it."""
ALARM_SHARE = 0.2
_MOMENT_S = 0.02


@dataclass
class LateHandle:
    """A group that is waited for until `deadline` (time.monotonic), and no longer."""

    group: RolloutGroup
    handle: ScoreHandle
    deadline: float
    late: LateVerdicts
    missing: ScoredGroup | None = None  # as its own batch has it, once that went without it

    def done(self) -> bool:
        return self.handle.done() or time.monotonic() >= self.deadline

    def result(self) -> ScoredGroup:
        """Wait for the verdicts until the deadline; without them no sample has one."""
        while self.missing is None and not self.handle.done():
            left_s = self.deadline - time.monotonic()
            if left_s <= 0.0:
                self.missing = self.late.without_verdicts(self)
                return self.missing
            time.sleep(min(_MOMENT_S, left_s))
        return self.missing or self.handle.result()

    def cancel(self) -> None:
        self.handle.cancel()


class LateVerdicts:
    """A scorer (r1.rollout.scored.Scorer) that is waited for only so long.

    late_s: how long a batch waits for a group's verdicts. pooled: whether a later batch may learn
    from them. Usable from any thread.
    """

    def __init__(self, scorer: Scorer, late_s: float, pooled: bool) -> None:
        self.scorer, self.late_s, self.pooled = scorer, late_s, pooled
        self._lock = threading.Lock()
        self._owed: list[LateHandle] = []
        self._counts: Counter[str] = Counter()

    def submit_group(self, group: RolloutGroup) -> LateHandle:
        handle = self.scorer.submit_group(group)
        with self._lock:
            self._counts["asked"] += 1
        return LateHandle(group, handle, time.monotonic() + self.late_s, self)

    def without_verdicts(self, owed: LateHandle) -> ScoredGroup:
        """The group as its own batch has it; its verdicts are owed from now on."""
        with self._lock:
            self._owed.append(owed)
            self._counts["groups"] += 1
        missing = Score(0.0, Outcome.TIMED_OUT, f"no verdict within {self.late_s:g} s; late")
        reward = Reward(0.0, {"accuracy": missing}, valid=False)
        return ScoredGroup(owed.group, [reward] * len(owed.group.completions))

    def arrived(self, step: int) -> list[ScoredGroup]:
        """The late groups that a batch of this step may learn from, in the order they were asked.

        Those that have become too old are void, and not waited for any more.
        """
        with self._lock:
            owed, self._owed = self._owed, []
        found = []
        for each in owed:
            versions = [completion.version for completion in each.group.completions]
            old = step - min(versions, default=step) > MAX_AGE
            if not each.handle.done() and not old:
                with self._lock:
                    self._owed.append(each)
            elif self.pooled and not old:
                found.append(each.handle.result())
            else:
                each.cancel()
                with self._lock:
                    self._counts["void"] += 1
        with self._lock:
            self._counts["pooled"] += len(found)
        return found

    def take_counts(self) -> LateCounts:
        with self._lock:
            counts, self._counts = self._counts, Counter()
            return LateCounts(self.scorer.take_counts(), counts, len(self._owed))


@dataclass
class LateCounts:
    """Counts of scoring (r1.rollout.scored.Counts), the late groups among them.

    late: "asked", "groups" (late ones), "pooled" and "void", since the last call. owed: late groups
    whose verdicts have not come.
    """

    scored: Counts
    late: Counter[str]
    owed: int

    def as_metrics(self) -> dict[str, float]:
        told = {
            f"pool/late_{name}": float(self.late[name]) for name in ("groups", "pooled", "void")
        }
        return {**self.scored.as_metrics(), **told, "queue/late": float(self.owed)}

    def alarm(self) -> str | None:
        groups, asked = self.late["groups"], self.late["asked"]
        if groups <= ALARM_SHARE * asked:
            return self.scored.alarm()
        return (
            f"{groups} of {asked} groups had no verdict within rewards.late_s; their batch learns "
            "nothing from them. More rewards.num_workers, or a larger rewards.late_s, may help."
        )


class LateSampler:
    """A sampler (r1.sampling.protocol.Sampler) whose batches have late groups at their end."""

    def __init__(self, sampler: Sampler, late: LateVerdicts) -> None:
        self.sampler, self.late = sampler, late

    def __enter__(self) -> LateSampler:
        self.sampler.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.sampler.__exit__(*error)  # type: ignore[arg-type]

    def renew(self, weights: Weights, version: int) -> None:
        self.sampler.renew(weights, version)

    def begin(self, steps: Iterable[int]) -> None:
        self.sampler.begin(steps)

    def take(self, step: int) -> list[ScoredGroup]:
        return [*self.sampler.take(step), *self.late.arrived(step)]

    def run_when_idle(self, action: Callable[[], None]) -> None:
        self.sampler.run_when_idle(action)
