"""Sampling in a thread beside the learner's: whole batches, or without ever pausing.

    renew(weights, version)   the newest weights; batches begun from now on start with them
    begin(steps)              sample these batches, in order, after those already begun
    take(step)                wait for a batch
    between(action)           do something with the engine while nothing is under way, and wait

The engine is this thread's alone. Everything asked of it happens in the order in which it was asked
for, so that a batch begun after `renew` starts with those weights or, partial rollouts only, with
newer ones. What goes wrong in the thread is raised by `take` and `between`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from r1.data.source import Batches
from r1.grpo.train import Rollouts, TrainSettings, add_signal, group_request, roll_out
from r1.rollout.protocol import Engine, FinishedGroup, PartialEngine
from r1.rollout.scored import ScoreHandle
from r1.types import Problem, RolloutGroup, ScoredGroup

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Weights = Iterable[tuple[str, "torch.Tensor"]]


class Newest(NamedTuple):
    """Weights that do not change, and the number of updates behind them."""

    version: int
    weights: Weights


def open_sampler(
    source: Batches, spare: Batches, rollouts: Rollouts, settings: TrainSettings
) -> WholeBatches | PartialRollouts:
    """The way of sampling that grpo.partial_rollouts asks for, as a context manager."""
    if settings.grpo.partial_rollouts:
        return PartialRollouts(source, rollouts, settings)

    def sample(step: int) -> list[ScoredGroup]:
        scored_P = roll_out(step, source.batch(step), rollouts, settings)
        return add_signal(step, scored_P, spare, rollouts, settings)

    return WholeBatches(rollouts.engine, sample)


class WholeBatches:
    """One batch after the other, each under the weights that were the newest when it was begun.

    Which those are follows from the order of the calls alone, never from the clock.
    """

    def __init__(self, engine: Engine, sample: Callable[[int], list[ScoredGroup]]) -> None:
        self.engine, self.sample = engine, sample
        self._newest = Newest(-1, ())
        self._held = -1
        self._batches: dict[int, Future[list[ScoredGroup]]] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")

    def __enter__(self) -> WholeBatches:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def renew(self, weights: Weights, version: int) -> None:
        """Let what is begun from now on be sampled under these weights."""
        self._newest = Newest(version, weights)

    def begin(self, steps: Iterable[int]) -> None:
        """Sample these batches once those before are whole."""
        for step in steps:
            self._batches[step] = self._submit(partial(self.sample, step))

    def take(self, step: int) -> list[ScoredGroup]:
        """Wait for a batch."""
        return self._batches.pop(step).result()

    def between(self, action: Callable[[], None]) -> None:
        """Do something under the newest weights once all that was begun is whole; wait for it."""
        self._submit(action).result()

    def _submit(self, action: Callable[[], T]) -> Future[T]:
        return self._thread.submit(self._under, self._newest, action)

    def _under(self, newest: Newest, action: Callable[[], T]) -> T:
        """Do something under the weights of a version."""
        if self._held != newest.version:
            self.engine.load_weights(newest.weights, version=newest.version)
            self._held = newest.version
        return action()


@dataclass(eq=False)
class _Batch:
    """A batch under way: a handle for every group that has ended, and all of them once whole."""

    step: int
    handles: list[ScoreHandle | None] = field(default_factory=list)
    whole: Future[list[ScoreHandle]] = field(default_factory=Future)


class _Owed(NamedTuple):
    """A group under way: its batch, its place in it, its problem."""

    batch: _Batch
    place: int
    problem: Problem


class PartialRollouts:
    """Samples all that was begun at once; new weights take over between two decode steps.

    Groups are scored as they end. Neighbouring batches may hold the same problem, so that an
    engine knows groups by problem and step.
    """

    def __init__(self, source: Batches, rollouts: Rollouts, settings: TrainSettings) -> None:
        assert isinstance(rollouts.engine, PartialEngine), "an engine without submit and poll"
        self.engine: PartialEngine = rollouts.engine
        self.source, self.rollouts, self.settings = source, rollouts, settings
        self._newest = Newest(-1, ())
        self._held = -1
        self._batches: dict[int, _Batch] = {}
        self._owed: dict[str, _Owed] = {}
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._closed = False

    def __enter__(self) -> PartialRollouts:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")
        self._running = self._thread.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.put(self._close)
        self._thread.shutdown()

    def renew(self, weights: Weights, version: int) -> None:
        """Let everything go on under these weights."""
        self._newest = Newest(version, weights)
        self._orders.put(self._load)

    def begin(self, steps: Iterable[int]) -> None:
        """Sample these batches beside those under way."""
        batches = [_Batch(step) for step in steps]
        self._batches |= {batch.step: batch for batch in batches}
        if batches:
            self._orders.put(partial(self._submit, batches))

    def take(self, step: int) -> list[ScoredGroup]:
        """Wait for a batch; its groups are in the order of the problems."""
        handles = self._wait(self._batches.pop(step).whole)
        return [handle.result() for handle in handles]

    def between(self, action: Callable[[], None]) -> None:
        """Do something under the newest weights once all that was begun is whole; wait for it."""
        done: Future[None] = Future()

        def alone() -> None:
            while self._owed:
                self._poll()
            action()
            done.set_result(None)

        self._orders.put(alone)
        self._wait(done)

    def _wait(self, future: Future[T]) -> T:
        either: list[Future[Any]] = [future, self._running]
        wait(either, return_when=FIRST_COMPLETED)
        if not future.done():
            self._running.result()  # raises: the thread ends in no other way before `_close`
        return future.result()

    def _run(self) -> None:
        """What the thread does: orders as they come, and decode steps in between."""
        while not self._closed:
            if self._orders.empty() and self._owed:
                self._poll()
            else:
                self._orders.get()()

    def _close(self) -> None:
        self._closed = True

    def _load(self) -> None:
        newest = self._newest
        if newest.version != self._held:
            self.engine.load_weights(newest.weights, version=newest.version)
            self._held = newest.version

    def _submit(self, batches: list[_Batch]) -> None:
        requests = []
        for batch in batches:
            problems = self.source.batch(batch.step)
            batch.handles = [None] * len(problems)
            for place, problem in enumerate(problems):
                asked = group_request(batch.step, 0, problem, self.rollouts, self.settings)
                name = f"{problem.id} of step {batch.step}"
                self._owed[name] = _Owed(batch, place, problem)
                requests.append(replace(asked, id=name))
        self.engine.submit(requests, self.settings.sampling)

    def _poll(self) -> None:
        for finished in self.engine.poll():
            self._score(finished)

    def _score(self, finished: FinishedGroup) -> None:
        request, completions = finished
        batch, place, problem = self._owed.pop(request.id)
        group = RolloutGroup(problem, request.prompt_ids, completions)
        batch.handles[place] = self.rollouts.scorer.submit_group(group)
        ended = [handle for handle in batch.handles if handle is not None]
        if len(ended) == len(batch.handles):
            batch.whole.set_result(ended)
