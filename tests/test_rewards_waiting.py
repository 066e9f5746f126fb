"""Idle workers stay, and a verifier that never gets ready holds up nobody for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import r1.rewards.worker_handle as worker_handle
from r1.errors import UserError
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.rewards.wire import IDLE, PREPARING, PROGRESS
from r1.rewards.worker_handle import NUM_EARLY_HANGS, START_TIMEOUT_S, WorkerHandle
from r1.types import Completion, Outcome, Problem, RolloutGroup


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
