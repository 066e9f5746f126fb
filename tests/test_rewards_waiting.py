"""Idle workers stay, and a verifier that never gets ready holds up nobody for ever."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import r1.rewards.worker_handle as worker_handle
from r1.errors import UserError
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rewards.wire import IDLE, PREPARING, PROGRESS, Job, ScoreItem, Setup, send
from r1.rewards.worker_handle import NUM_EARLY_HANGS, START_TIMEOUT_S, WorkerHandle
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score


def _settings(**changes: object) -> RewardSettings:
    return RewardSettings.model_validate({"num_workers": 1, "timeout_s": 60.0} | changes)


def _group(verifier: str, name: str = "p", size: int = 3) -> RolloutGroup:
    text = "<think>x</think> <answer>4</answer>"
    completions = [Completion([1], [-1.0], text, "stop") for _ in range(size)]
    return RolloutGroup(Problem(name, "2+2?", "4", verifier), (1,), completions)


def _clock(worker: WorkerHandle, rewind_s: float = 0.0) -> int:
    """What a worker is at; rewind_s: how much longer it is to seem at it."""
    number, began = PROGRESS.unpack(worker._progress[: PROGRESS.size])
    if rewind_s:
        worker._progress[: PROGRESS.size] = PROGRESS.pack(number, began - rewind_s)
    return number


@contextmanager
def _hours_pass_while_warming(pool: RewardPool, num_workers: int) -> Iterator[None]:
    """Set back the clock of the first workers that warm up, so that no test waits for the limit."""
    ended = threading.Event()
    late: set[int] = set()

    def watch() -> None:
        while not ended.wait(0.02):
            for worker in pool._workers:
                with suppress(AttributeError, ValueError):  # not started yet, or just stopped
                    process = worker._process.pid
                    if len(late | {process}) <= num_workers and _clock(worker) == PREPARING:
                        _clock(worker, rewind_s=1e6)
                        late.add(process)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_worker_that_idled_beyond_the_limit_is_kept() -> None:
    with RewardPool(_settings()) as pool:
        pool.score_groups([_group("exact")])
        [worker] = pool._workers
        process = worker._process
        for idle_s in (START_TIMEOUT_S + 1.0, 1e6):
            assert _clock(worker, rewind_s=idle_s) == IDLE
            [scored] = pool.score_groups([_group("exact", size=200)])
            assert all(reward.valid for reward in scored.rewards)
        assert worker._process is process
        assert pool.take_counts().restarts == 0


def test_a_verifier_that_never_gets_ready_is_named_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with RewardPool(_settings(plugins=("waiting_verifiers",))) as pool:
        with caplog.at_level(logging.WARNING), _hours_pass_while_warming(pool, NUM_EARLY_HANGS):
            [scored] = pool.score_groups([_group("never_ready")])
        again, other = pool.score_groups([_group("never_ready", "q"), _group("exact", "r")])
        counts = pool.take_counts()
    for reward in [*scored.rewards, *again.rewards]:
        part = reward.parts["accuracy"]
        assert part.outcome is Outcome.VERIFIER_FAILED
        assert f"'never_ready' did not get ready within {START_TIMEOUT_S:g} s" in part.detail
        assert not reward.valid
    assert all(reward.valid for reward in other.rewards)
    assert counts.restarts == NUM_EARLY_HANGS  # none for the second group
    assert sum("never_ready" in record.getMessage() for record in caplog.records) == 1


def test_a_verifier_that_gets_ready_at_the_second_try_scores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUNG_ONCE", str(tmp_path / "once"))
    pool = RewardPool(_settings(plugins=("waiting_verifiers",)))
    with pool, _hours_pass_while_warming(pool, 1):
        [scored] = pool.score_groups([_group("ready_later")])
    assert [reward.parts["accuracy"].value for reward in scored.rewards] == [1.0] * 3


class _Clock:
    """Time that passes while somebody polls, and a worker that answers at `ready_s`.

    At `stalls_at` the machine stands still for STALL seconds.
    """

    STALL = 1e4

    def __init__(self, ready_s: float, stalls_at: float | None = None) -> None:
        self.now, self.ready_s, self.stalls_at = 0.0, ready_s, stalls_at

    def monotonic(self) -> float:
        return self.now

    def register(self, channel: object, events: int) -> None:
        pass

    def poll(self, timeout_ms: float) -> bool:
        self.now += timeout_ms / 1000
        if self.stalls_at is not None and self.now >= self.stalls_at:
            self.now, self.stalls_at = self.now + self.STALL, None
        return self.now >= self.ready_s


@pytest.mark.parametrize(
    ("ready_s", "waiting", "hung_at"),
    [
        (90.0, 0.0, None),
        (130.0, 0.0, 120.0),  # the limit
        (130.0, 0.5, None),
        (250.0, 0.5, 240.0),
        (1100.0, 1.0, None),
        (1250.0, 1.0, 1200.0),  # ten times the limit, however busy the machine is
        (1250.0, 16.0, 1200.0),  # several threads wait at once
    ],
)
def test_a_busy_machine_is_not_taken_for_a_worker_that_hangs(
    monkeypatch: pytest.MonkeyPatch, ready_s: float, waiting: float, hung_at: float | None
) -> None:
    """`waiting` is the share of the time for which the worker had no processor."""
    clock = _Clock(ready_s)
    monkeypatch.setattr(worker_handle, "waited_s", lambda pid: 7.0 + waiting * clock.now)
    _wait_for_the_first_message(monkeypatch, clock, hung_at)


@pytest.mark.parametrize("stalls_at", [0.1, 60.0, 119.9])
def test_a_machine_that_stood_still_is_not_taken_for_a_worker_that_hangs(
    monkeypatch: pytest.MonkeyPatch, stalls_at: float
) -> None:
    monkeypatch.setattr(worker_handle, "waited_s", lambda pid: 7.0)
    ready = _Clock(_Clock.STALL + 119.0, stalls_at)
    _wait_for_the_first_message(monkeypatch, ready, None)
    hung_at = _Clock.STALL + START_TIMEOUT_S
    _wait_for_the_first_message(monkeypatch, _Clock(1e9, stalls_at), hung_at)


def _wait_for_the_first_message(
    monkeypatch: pytest.MonkeyPatch, clock: _Clock, hung_at: float | None
) -> None:
    """Wait for a worker that was asked at 0 s; it must hang at hung_at, or never."""
    worker, theirs = _simulated_worker(monkeypatch, clock, PREPARING)
    worker._look = worker_handle.Look(0.0, waited_s=7.0)
    with worker._channel, theirs:
        send(theirs, b"[]")
        if hung_at is None:
            assert worker._next_message() == []
            return
        with pytest.raises(worker_handle.WorkerHungError):
            worker._next_message()
    assert hung_at <= clock.now < hung_at + 1.5


def _simulated_worker(
    monkeypatch: pytest.MonkeyPatch, clock: _Clock, number: int, **changes: object
) -> tuple[WorkerHandle, socket.socket]:
    """A worker without a process, at `number` since 0 s, and its end of the channel."""
    monkeypatch.setattr(worker_handle, "time", clock)
    monkeypatch.setattr(worker_handle.select, "poll", lambda: clock)
    worker = WorkerHandle(Setup(_settings(**changes), PromptForm()), lambda: None)
    worker._process = SimpleNamespace(pid=1)  # type: ignore[assignment]
    worker._progress = bytearray(PROGRESS.pack(number, 0.0))  # type: ignore[assignment]
    worker._channel, theirs = socket.socketpair()
    worker._limit_s = worker._setup.settings.timeout_s
    return worker, theirs


def test_closing_does_not_wait_for_a_verifier_that_hangs() -> None:
    pool = RewardPool(_settings(plugins=("waiting_verifiers",)))
    handle = pool.submit_group(_group("never_ready"))
    while not (pool._workers and pool._workers[0]._process):
        time.sleep(0.01)
    pool.close()
    assert handle.done()


def test_a_plugin_whose_import_hangs_ends_with_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(plugins=("hanging_plugin",))
    pool = RewardPool(settings)
    monkeypatch.setattr(worker_handle, "START_TIMEOUT_S", 2.0)
    monkeypatch.setenv("HANG_ON_IMPORT", "1")
    with pool, pytest.raises(UserError, match=r"nothing after 2 s.*hanging_plugin"):
        pool.score_groups([_group("exact")])


def _sleepy_outcomes(sleep_s: float, timeout_s: float) -> list[Outcome]:
    settings = _settings(
        weights={"misbehave": 1.0}, plugins=("hostile_rewards",), timeout_s=timeout_s
    )
    completions = [Completion([1], [-1.0], text, "stop") for text in ("a", f"sleep {sleep_s}")]
    group = RolloutGroup(Problem("p", "", "4", "exact"), (1,), completions)
    with RewardPool(settings) as pool:
        [scored] = pool.score_groups([group])
    return [reward.parts["misbehave"].outcome for reward in scored.rewards]


def test_an_item_that_sleeps_is_late_and_the_one_before_it_is_not() -> None:
    outcomes = _sleepy_outcomes(1000.0, timeout_s=0.3)
    assert outcomes == [Outcome.CORRECT, Outcome.TIMED_OUT]


@pytest.mark.parametrize(
    ("sending_s", "waiting", "ready_s", "hung_at"),
    [
        (0.0, 0.0, 4.5, None),
        (0.0, 0.0, 9.0, 5.0),  # the limit
        (0.0, 0.5, 9.0, None),
        (0.0, 0.5, 11.0, 10.0),
        (0.0, 1.0, 49.0, None),
        (0.0, 1.0, 60.0, 50.0),  # ten times the limit, however busy the machine is
        (6.0, 0.0, 9.0, None),  # lost while the job was sent, when the item had begun
        (6.0, 0.0, 12.0, 11.0),
        (0.75, 1.0, 49.0, None),
    ],
)
def test_an_items_clock_stands_still_while_its_worker_waits_for_a_processor(
    monkeypatch: pytest.MonkeyPatch,
    sending_s: float,
    waiting: float,
    ready_s: float,
    hung_at: float | None,
) -> None:
    """The item begins at 0 s. `waiting` is the share of the time without a processor."""
    clock = _Clock(ready_s)
    monkeypatch.setattr(worker_handle, "waited_s", lambda pid: 7.0 + waiting * clock.now)
    worker, theirs = _simulated_worker(monkeypatch, clock, number=0, timeout_s=5.0)
    monkeypatch.setattr(worker_handle, "send", lambda *_: setattr(clock, "now", sending_s))
    job = Job(_group("exact").problem, [], [ScoreItem(0, "accuracy")], ())
    scores: dict[int, Score] = {}
    with worker._channel, theirs:
        send(theirs, b'[[0, 1.0, "correct", ""]]')
        send(theirs, b"null")
        if hung_at is None:
            worker._run(job, scores)
            assert scores == {0: Score(1.0, Outcome.CORRECT)}
            return
        with pytest.raises(worker_handle.WorkerHungError):
            worker._run(job, scores)
    assert hung_at <= clock.now < hung_at + 1.5


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="no schedstat in this kernel")
def test_what_a_process_waited_is_the_kernels_count() -> None:
    spin = "import os; os.sched_setaffinity(0, {int(os.environ['CORE'])})\nwhile True: pass"
    core = str(min(os.sched_getaffinity(0)))
    both = [
        subprocess.Popen([sys.executable, "-c", spin], env={**os.environ, "CORE": core})
        for _ in range(2)
    ]
    try:
        ends = time.monotonic() + 60.0
        while min(waited := [worker_handle.waited_s(each.pid) for each in both]) < 0.1:
            assert time.monotonic() < ends, waited
            time.sleep(0.02)
    finally:
        for each in both:
            each.kill()
            each.wait()
    assert worker_handle.waited_s(2**30) == 0.0
