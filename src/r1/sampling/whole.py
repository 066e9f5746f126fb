"""Whole batches, sampled one after the other in a thread while others are learnt from.

    in turn        | sample n | learn n | send | sample n + 1 | learn n + 1 | send | ...
    one ahead      | sample n + 1       | send | sample n + 2               | send | ...
                   | learn n            |      | learn n + 1                |      |

Which weights a batch is sampled under follows from the order of the calls alone, never from the
clock. The engine is the thread's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from r1.rollout.protocol import AbortedError
from r1.sampling.beside import Newest, VersionedEngine, end_thread, snapshot
from r1.sampling.protocol import Weights
from r1.sampling.roll_out import BatchSource, Rollouts, sample_batch
from r1.types import ScoredGroup

T = TypeVar("T")


class WholeBatches:
    """See r1.sampling.protocol.Sampler. Each batch is sampled under the weights that were the
    newest when it was begun."""

    def __init__(self, source: BatchSource, rollouts: Rollouts) -> None:
        self.source, self.rollouts = source, rollouts
        self._newest, self._engine = Newest(-1, ()), VersionedEngine(rollouts.engine)
        self._batches: dict[int, Future[list[ScoredGroup]]] = {}
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")

    def __enter__(self) -> WholeBatches:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        end_thread(self._thread, self._thread.submit(lambda: None), self.rollouts.engine)

    def renew(self, weights: Weights, version: int) -> None:
        self._newest = Newest(version, snapshot(weights))

    def begin(self, steps: Iterable[int]) -> None:
        for step in steps:
            sample = partial(sample_batch, step, self.source, self.rollouts)
            self._batches[step] = self._submit(sample)

    def take(self, step: int) -> list[ScoredGroup]:
        return self._batches.pop(step).result()

    def run_when_idle(self, action: Callable[[], None]) -> None:
        self._submit(action).result()

    def _submit(self, action: Callable[[], T]) -> Future[T]:
        return self._thread.submit(self._under, self._newest, action)

    def _under(self, newest: Newest, action: Callable[[], T]) -> T:
        """Do something under the weights of a version."""
        if self._closed:
            raise AbortedError("nothing is sampled any more")
        self._engine.load(newest)
        return action()
