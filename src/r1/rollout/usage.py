"""Measure how long workers are busy, and how deep their queues get.

A worker is busy from a request until its answer arrives, as seen by the caller. Work in progress
when the figures are taken is split between this interval and the next. Thread-safe: engines may
work while a learner learns.

Left out on purpose: what a GPU does meanwhile (nvidia-smi and Ray's own metrics tell that).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from r1.rollout.protocol import AbortableEngine, Engine, FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import GroupRequest

if TYPE_CHECKING:
    import torch


class Used(NamedTuple):
    """Figures since they were last taken: seconds elapsed, busy seconds of each worker, seconds in
    which any was busy, the most groups that waited."""

    seconds: float
    busy: Mapping[str, float]
    any_busy: float
    deepest: int

    def shares(self) -> dict[str, float]:
        """Return `busy/engines`, the mean over workers; with several also `busy/NAME` of each."""
        whole = max(1e-9, self.seconds)
        each = {name: min(1.0, busy / whole) for name, busy in self.busy.items()}
        if not each:
            return {}
        named = {f"busy/{name}": share for name, share in each.items()} if len(each) > 1 else {}
        return {"busy/engines": sum(each.values()) / len(each), **named}


@dataclass
class _Worker:
    """A worker. since: when its current work began, None if it is idle."""

    busy: float = 0.0
    since: float | None = None


class Usage:
    """Measures the workers named at creation, including those that never work."""

    def __init__(
        self, names: Sequence[str], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._workers = {name: _Worker() for name in names}
        self._all = _Worker()
        self._taken = clock()
        self._waiting = self._deepest = 0

    def now(self, busy: Collection[str] = (), waiting: int = 0) -> None:
        """Record that these workers are busy, the others idle, and so many groups wait."""
        with self._lock:
            now = self._clock()
            for name, worker in self._workers.items():
                _turn(worker, name in busy, now)
            _turn(self._all, bool(busy), now)
            self._waiting = waiting
            self._deepest = max(self._deepest, waiting)

    def take(self) -> Used:
        """Return the figures since they were last taken."""
        with self._lock:
            now = self._clock()
            busy = {name: _taken(worker, now) for name, worker in self._workers.items()}
            used = Used(now - self._taken, busy, _taken(self._all, now), self._deepest)
            self._taken, self._deepest = now, self._waiting
            return used


def _turn(worker: _Worker, busy: bool, now: float) -> None:
    """Add a worker's elapsed busy time and set whether it is busy now."""
    if worker.since is not None:
        worker.busy += now - worker.since
    worker.since = now if busy else None


def _taken(worker: _Worker, now: float) -> float:
    _turn(worker, worker.since is not None, now)
    busy, worker.busy = worker.busy, 0.0
    return busy


class WatchedEngine:
    """Wraps an engine of this process, which counts as busy while its next group is awaited."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.usage = Usage(["engine"])

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Engine.generate, timed."""
        groups = iter(self.engine.generate(requests, sampling))
        while True:
            self.usage.now(["engine"])
            try:
                finished = next(groups)
            except StopIteration:
                return
            finally:
                self.usage.now()
            yield finished

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> None:
        """Engine.load_weights."""
        self.engine.load_weights(weights, version)

    def abort(self) -> None:
        """Call the engine's own, if it has one."""
        if isinstance(self.engine, AbortableEngine):
            self.engine.abort()


class WatchedPartialEngine(WatchedEngine):
    """A WatchedEngine with `submit` and `poll`."""

    def submit(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> None:
        """Call the engine's own."""
        self.engine.submit(requests, sampling)  # type: ignore[attr-defined]

    def poll(self) -> list[FinishedGroup]:
        """Call the engine's own, timed."""
        self.usage.now(["engine"])
        try:
            return self.engine.poll()  # type: ignore[attr-defined]
        finally:
            self.usage.now()


def watched(engine: Engine) -> WatchedEngine:
    """Return the engine with a measure of how busy it is."""
    partial = hasattr(engine, "submit") and hasattr(engine, "poll")
    return WatchedPartialEngine(engine) if partial else WatchedEngine(engine)
