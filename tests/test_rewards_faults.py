"""The pool while things go wrong: killed and hanging workers lose no score and count none twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence

import pytest

from r1.rewards.pool import GroupHandle, RewardPool
from r1.rewards.settings import RewardSettings
from r1.rollout.scored import scored_groups
from r1.rollout.settings import SamplingSettings
from r1.types import Completion, GroupRequest, Outcome, Problem, RolloutGroup

NUM_GROUPS = 600
NUM_SAMPLES = 5


def settings(**changes: object) -> RewardSettings:
    values = {
        "weights": {"misbehave": 1.0},
        "plugins": ("hostile_rewards",),
        "num_workers": 2,
        "timeout_s": 60.0,
    }
    return RewardSettings.model_validate(values | changes)


def group(name: str, *texts: str) -> RolloutGroup:
    completions = [Completion([1], [-1.0], text, "stop") for text in texts]
    return RolloutGroup(Problem(name, "", "5", "math"), (1,), completions)


def kill_one(pool: RewardPool, rng: random.Random) -> bool:
    """Kill a worker that runs, as the kernel does when memory is short."""
    running = [w._process for w in pool._workers if w._process is not None]
    alive = [process for process in running if process.poll() is None]
    if not alive:
        return False
    os.kill(rng.choice(alive).pid, signal.SIGKILL)
    return True


@pytest.mark.slow
def test_workers_killed_at_random_lose_nothing_and_count_nothing_twice() -> None:
    rng = random.Random(0)
    with RewardPool(settings()) as pool:
        pool.score_groups([group("warm", "a"), group("warm", "a")])
        pool.take_counts()
        handles, kills = [], 0
        for i in range(NUM_GROUPS):
            texts = [f"{i}-{sample}" for sample in range(NUM_SAMPLES)]
            handles.append(pool.submit_group(group(str(i), *texts)))
            if i % 100 == 40:
                time.sleep(1.0)  # a worker killed thrice while it starts is given up, rightly
            if i % 100 == 60:
                kills += kill_one(pool, rng)
        results = [handle.result() for handle in handles]
        counts = pool.take_counts()
    assert kills >= 4
    for i, scored in enumerate(results):
        assert scored.group.problem.id == str(i)
        parts = [reward.parts["misbehave"] for reward in scored.rewards]
        # The detail is the sample's own text: no score went to a neighbour.
        told = [part.detail for part in parts if part.outcome is Outcome.CORRECT]
        texts = [f"{i}-{sample}" for sample in range(NUM_SAMPLES)]
        assert len(parts) == NUM_SAMPLES
        assert set(told) <= set(texts)
        assert all(part.outcome is Outcome.VERIFIER_FAILED for part in parts if not part.value)
    total = NUM_GROUPS * NUM_SAMPLES
    assert sum(counts.outcomes.values()) == total
    # One death is forgiven an item; two in the same one by chance would be the verifier's failure.
    assert counts.outcomes["misbehave", Outcome.CORRECT] >= total - 2
    assert 1 <= counts.restarts <= kills
    assert counts.as_metrics()["pool/restarts"] == counts.restarts


@pytest.mark.slow
def test_a_hanging_worker_holds_up_nobody_else() -> None:
    with RewardPool(settings()) as pool:
        hanging = pool.submit_group(group("h", "hang", "after"))
        others = [pool.submit_group(group(str(i), str(i), "b")) for i in range(200)]
        assert [h.result().rewards[0].parts["misbehave"].detail for h in others] == [
            str(i) for i in range(200)
        ]
        assert not hanging.done()
    pool = RewardPool(settings(timeout_s=1.0, num_workers=1))
    with pool:
        [scored] = pool.score_groups([group("h", "hang", "after")])
        counts = pool.take_counts()
    assert [reward.valid for reward in scored.rewards] == [False, True]
    assert counts.outcomes == {
        ("misbehave", Outcome.TIMED_OUT): 1,
        ("misbehave", Outcome.CORRECT): 1,
    }
    assert counts.restarts == 1
    assert "1 timed out, 0 failed" in (counts.alarm(0.4) or "")
    assert counts.alarm(0.5) is None


def test_a_group_is_scored_while_the_next_is_still_sampled() -> None:
    """The engine below ends its second group only once the first one's rewards are there."""
    submitted: list[GroupHandle] = []

    class Scorer:
        def submit_group(self, rolled: RolloutGroup) -> GroupHandle:
            submitted.append(pool.submit_group(rolled))
            return submitted[-1]

    class Engine:
        def generate(
            self, requests: Sequence[GroupRequest], sampling: SamplingSettings
        ) -> Iterator[tuple[GroupRequest, list[Completion]]]:
            yield requests[0], [Completion([1], [-1.0], "first", "stop")]
            deadline = time.monotonic() + 120
            while not submitted[0].done():
                assert time.monotonic() < deadline, "the first group waits for the second"
                time.sleep(0.01)
            yield requests[1], [Completion([1], [-1.0], "second", "stop")]

    problems = [Problem(name, "", "5", "math") for name in "ab"]
    requests = [GroupRequest(name, (1,), (0,)) for name in "ab"]
    with RewardPool(settings(num_workers=1)) as pool:
        found = list(
            scored_groups(Engine(), Scorer(), problems, requests, SamplingSettings())  # type: ignore[arg-type]
        )
    assert [scored.rewards[0].parts["misbehave"].detail for scored in found] == ["first", "second"]


def test_a_worker_that_grows_is_replaced_before_it_matters(monkeypatch) -> None:
    """RECYCLE_AFTER bounds what a leak can cost, between groups and without losing a score."""
    monkeypatch.setattr("r1.rewards.worker_handle.RECYCLE_AFTER", 10)
    with RewardPool(settings(num_workers=1)) as pool:
        groups = [group(str(i), *["report"] * 4) for i in range(6)]
        results = pool.score_groups(groups)
        pids = [s.rewards[0].parts["misbehave"].detail.split()[0] for s in results]
        counts = pool.take_counts()
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3]
    assert sum(counts.outcomes.values()) == 24
    assert counts.restarts == 0


@pytest.mark.slow
def test_a_group_may_die_with_its_worker_again_and_again() -> None:
    """Every second sample kills its worker: each is given up after two deaths, the rest counts."""
    with RewardPool(settings(num_workers=1)) as pool:
        [scored] = pool.score_groups([group("g", "a", "exit", "b", "segfault", "c")])
        counts = pool.take_counts()
    found = [str(reward.parts["misbehave"].outcome) for reward in scored.rewards]
    assert found == ["correct", "verifier-failed", "correct", "verifier-failed", "correct"]
    assert counts.restarts == 4
    assert counts.failed_share("misbehave") == 0.4
