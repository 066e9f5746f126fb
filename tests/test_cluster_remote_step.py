"""The step of a learner over Ray actors changes together with its ranks."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("ray")

from r1.cluster.ray_learner import RemoteLearner


class _Lock:
    """A lock that notes the learner's step whenever it is let go."""

    def __init__(self, learner: Any) -> None:
        self.learner, self.lock, self.seen = learner, threading.Lock(), []

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.seen.append(self.learner.step)
        self.lock.release()


class _Events:
    def take(self) -> dict[str, float]:
        return {}


def test_whoever_takes_the_lock_finds_the_step_that_the_ranks_are_at() -> None:
    learner = RemoteLearner.__new__(RemoteLearner)
    learner.step, learner.ranks, learner._batches = 3, [object()], {}
    learner.events = _Events()  # type: ignore[assignment]
    lock = _Lock(learner)
    learner._one_at_a_time = lock  # type: ignore[assignment]
    learner.cluster = type("Cluster", (), {"max_restarts": 0})()  # type: ignore[assignment]
    learner._update = lambda batch: {"loss": 1.0}  # type: ignore[method-assign]
    learner._gather = lambda: []  # type: ignore[method-assign]
    assert learner.update("batch") == {"loss": 1.0}
    assert learner.weights().version == 4  # type: ignore[attr-defined]
    assert lock.seen == [4, 4]
