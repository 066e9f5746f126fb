"""The worker pool: hangs, crashes and greed stay with the sample that caused them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import r1
from r1.errors import UserError
from r1.rewards.names import REWARDS
from r1.rewards.pool import NO_VOTE, RewardPool
from r1.rewards.settings import RewardSettings
from r1.rewards.worker import NICENESS
from r1.rewards.worker_handle import PoolClosedError
from r1.types import Completion, Problem, Reward, RolloutGroup

PROBLEM = Problem("p", "What is 2+3?", "5", "math")


def settings(**changes: object) -> RewardSettings:
    values = {
        "weights": {"misbehave": 1.0},
        "plugins": ("hostile_rewards",),
        "timeout_s": 2.0,
        "worker_memory_mb": 1024,
    }
    return RewardSettings.model_validate(values | changes)


def group(*texts: str, problem: Problem = PROBLEM) -> RolloutGroup:
    return RolloutGroup(
        problem, (1,), [Completion([1, 2], [-1.0, -1.0], text, "stop") for text in texts]
    )


def outcomes(rewards: list[Reward], name: str = "misbehave") -> list[str]:
    return [str(reward.parts[name].outcome) for reward in rewards]


@pytest.fixture(scope="module")
def pool() -> Iterator[RewardPool]:
    with RewardPool(settings()) as shared:
        yield shared


@pytest.mark.parametrize("word", ["hang", "hang-in-c"])
def test_only_the_hanging_sample_times_out(pool: RewardPool, word: str) -> None:
    [scored] = pool.score_groups([group("a", word, "b", "c")])
    assert outcomes(scored.rewards) == ["correct", "timed-out", "correct", "correct"]
    assert [reward.valid for reward in scored.rewards] == [True, False, True, True]
    assert [reward.total for reward in scored.rewards] == [1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("word", ["exit", "segfault", "system-exit"])
def test_only_the_crashing_sample_fails(pool: RewardPool, word: str) -> None:
    [scored] = pool.score_groups([group("a", word, "b")])
    assert outcomes(scored.rewards) == ["correct", "verifier-failed", "correct"]
    assert "died" in scored.rewards[1].parts["misbehave"].detail


@pytest.mark.parametrize("word", ["bomb", "raise", "nan"])
def test_what_a_verifier_raises_is_its_own_failure(pool: RewardPool, word: str) -> None:
    [scored] = pool.score_groups([group(word, "b")])
    assert outcomes(scored.rewards) == ["verifier-failed", "correct"]
    assert len(scored.rewards[0].parts["misbehave"].detail) <= 300


def test_greed_for_memory_is_bounded(pool: RewardPool) -> None:
    [scored] = pool.score_groups([group("slow-bomb", "b")])
    # On a busy machine the wall clock may run out before the memory does.
    assert outcomes(scored.rewards)[0] in ("verifier-failed", "timed-out")
    assert outcomes(scored.rewards)[1] == "correct"


def test_output_of_a_verifier_goes_nowhere(
    pool: RewardPool, capfd: pytest.CaptureFixture[str]
) -> None:
    [scored] = pool.score_groups([group("print", "b")])
    assert outcomes(scored.rewards) == ["correct", "correct"]
    assert capfd.readouterr() == ("", "")


def test_a_worker_killed_by_chance_costs_no_verdict(pool: RewardPool, tmp_path: Path) -> None:
    pool.take_counts()
    [scored] = pool.score_groups([group("a", f"die-once {tmp_path / 'died'}", "b")])
    assert outcomes(scored.rewards) == ["correct"] * 3
    assert pool.take_counts().restarts == 1


def test_a_worker_killed_from_outside_while_busy(pool: RewardPool) -> None:
    [scored] = pool.score_groups([group("report")])
    pid = int(scored.rewards[0].parts["misbehave"].detail.split()[0])
    handle = pool.submit_group(group("sleep 0.4", "b"))
    time.sleep(0.15)
    os.kill(pid, signal.SIGKILL)
    assert outcomes(handle.result().rewards) == ["correct", "correct"]


def test_workers_are_nice_and_free_of_torch(pool: RewardPool) -> None:
    [scored] = pool.score_groups([group("report")])
    pid, nice, torch = scored.rewards[0].parts["misbehave"].detail.split()
    assert int(pid) != os.getpid()
    assert int(nice) == min(19, os.nice(0) + NICENESS)
    assert torch == "False"


def test_scores_belong_to_the_group_they_were_asked_for() -> None:
    with RewardPool(settings(num_workers=2)) as pool:
        groups = [group("sleep 0.3" if i % 2 == 0 else str(i), str(i)) for i in range(8)]
        handles = [pool.submit_group(g) for g in groups]
        results = [handle.result() for handle in handles]
        assert [scored.group for scored in results] == groups
        assert [r.rewards[1].parts["misbehave"].detail for r in results] == list("01234567")
        assert all(handle.done() for handle in handles)


def test_submitting_blocks_while_too_many_wait(monkeypatch) -> None:
    monkeypatch.setattr("r1.rewards.pool.MAX_PENDING", 1)
    with RewardPool(settings(timeout_s=30)) as pool:
        pool.score_groups([group("warm")])
        began = time.monotonic()
        # one at work, one waiting: the third and fourth must wait
        handles = [pool.submit_group(group("sleep 0.2")) for _ in range(4)]
        assert time.monotonic() - began > 0.3
        assert [outcomes(handle.result().rewards) for handle in handles] == [["correct"]] * 4


def test_workers_are_recycled(monkeypatch) -> None:
    monkeypatch.setattr("r1.rewards.worker_handle.RECYCLE_AFTER", 2)
    with RewardPool(settings()) as pool:
        scored = pool.score_groups([group("report", "report") for _ in range(2)])
        pids = {s.rewards[0].parts["misbehave"].detail.split()[0] for s in scored}
        assert len(pids) == 2
        assert pool.take_counts().restarts == 0


@pytest.mark.slow
def test_works_from_any_thread(pool: RewardPool) -> None:
    found: list[str] = []

    def run() -> None:
        found.extend(outcomes(pool.score_groups([group("a", "hang")])[0].rewards))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == ["correct", "timed-out"]


def test_closing_does_not_wait_for_a_hang() -> None:
    pool = RewardPool(settings(timeout_s=3600))
    pool.score_groups([group("warm")])
    busy, waiting = pool.submit_group(group("hang")), pool.submit_group(group("a"))
    time.sleep(0.2)
    pool.close()  # waiting for the hang would take an hour
    with pytest.raises(PoolClosedError):
        busy.result()
    assert waiting.done()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit_group(group("a"))


def test_counts_and_alarm(pool: RewardPool) -> None:
    pool.take_counts()
    pool.score_groups([group("a", "raise", "b", "c")])
    counts = pool.take_counts()
    assert counts.as_metrics()["pool/misbehave/verifier-failed"] == 1.0
    assert counts.failed_share("misbehave") == 0.25
    assert "25.0%" in (counts.alarm(0.2) or "")
    assert counts.alarm(0.3) is None


def test_unknown_reward_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'accuracy'"):
        RewardPool(RewardSettings(weights={"acuracy": 1.0}))
    with pytest.raises(UserError, match="no_such_module"):
        RewardPool(RewardSettings(plugins=("no_such_module",)))


def test_workers_say_why_they_cannot_start(monkeypatch) -> None:
    """A reward whose module only this process imported, as one named in the recipe's `plugins`."""
    monkeypatch.setitem(REWARDS, "mine", lambda settings, form: None)
    with RewardPool(RewardSettings(weights={"mine": 1.0})) as pool:
        group = RolloutGroup(
            Problem("p", "1+1", "2", "math"), (), [Completion([], [], "2", "stop")]
        )
        with pytest.raises(UserError, match=r"cannot start: reward 'mine': name its module in rew"):
            pool.submit_group(group).result()


def test_workers_that_are_only_slow_are_not_blamed_on_memory(monkeypatch) -> None:
    """As on a machine where fifty processes wait for two cores."""
    monkeypatch.setattr("r1.rewards.worker_handle.START_TIMEOUT_S", 0.001)
    with RewardPool(RewardSettings()) as pool:
        with pytest.raises(UserError, match="this machine is too busy") as refused:
            pool.submit_group(group("<answer>5</answer>")).result()
        assert "worker_memory_mb" not in str(refused.value)
        assert "which carries on" in str(refused.value)


def test_rewards_of_the_paper_and_votes() -> None:
    texts = [
        "<think>a</think> <answer>5</answer>",
        "<think>a</think> <answer>6</answer>",
        "<answer>5</answer>",
        r"<think>a</think> <answer>\frac{10}{2}</answer>",
    ]
    with RewardPool(RewardSettings()) as pool:
        [scored] = pool.score_groups([group(*texts)])
        assert [reward.total for reward in scored.rewards] == [2.0, 1.0, 0.0, 1.0]
        assert outcomes(scored.rewards, "accuracy") == ["correct", "wrong", "unparseable", "wrong"]
        assert outcomes(scored.rewards, "format") == ["correct", "correct", "wrong", "correct"]
        votes = pool.group_answers(PROBLEM, ["1/2", "0.5", None, "5", " 5", "x=5", "½"])
        assert votes == [0, 0, NO_VOTE, 1, 1, 1, 0]
        assert pool.group_answers(PROBLEM, [None, "7"]) == [NO_VOTE, 0]


PARENT = """
    import sys, time
    from r1.rewards.pool import RewardPool
    from r1.rewards.settings import RewardSettings
    from r1.types import Completion, Problem, RolloutGroup
    settings = RewardSettings(
        weights={"misbehave": 1.0}, plugins=("hostile_rewards",), timeout_s=100, num_workers=2
    )
    problem = Problem("p", "", "5", "math")
    def group(text):
        return RolloutGroup(problem, (), [Completion([], [], text, "stop")])
    pool = RewardPool(settings)
    first = [pool.submit_group(group("sleep 0.5")) for _ in range(2)]
    for handle in first:
        handle.result()
    a, b = (pool.submit_group(group("report")) for _ in range(2))
    pids = {h.result().rewards[0].parts["misbehave"].detail.split()[0] for h in (a, b)}
    pool.submit_group(group("hang"))
    time.sleep(0.3)
    print(*pids, flush=True)
    time.sleep(100)
"""


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    path = os.pathsep.join([str(Path(r1.__file__).parent.parent), str(Path(__file__).parent)])
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert pids
        parent.kill()
    deadline = time.monotonic() + 60
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_is_alive(pid) for pid in pids)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
