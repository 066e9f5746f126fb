"""Sampling in a thread beside the learner's: whole batches, or without ever pausing.

    renew(weights, version)   the newest weights; batches begun from now on start with them
    begin(steps)              sample these batches, in order, after those already begun
    take(step)                wait for a batch
    between(action)           do something with the engine while nothing is under way, and wait

The engine is this thread's alone. Everything asked of it happens in the order in which it was asked
for, so that a batch begun after `renew` starts with those weights or, partial rollouts only, with
newer ones. What goes wrong in the thread is raised by `take` and `between`.

Whoever leaves early, by an error or Ctrl-C, waits for nothing: the engine is told to stop and what
was asked for, evaluations included, is not done any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from r1.data.source import Batches
from r1.grpo.train import (
    Rollouts,
    TrainSettings,
    add_signal,
    group_request,
    replace_empty,
    roll_out,
    spare_problems,
)
from r1.rollout.protocol import (
    AbortableEngine,
    AbortedError,
    Engine,
    FinishedGroup,
    PartialEngine,
)
from r1.rollout.scored import ScoreHandle
from r1.types import GroupRequest, Problem, RolloutGroup, ScoredGroup

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Weights = Iterable[tuple[str, "torch.Tensor"]]
_MOMENT_S = 0.01
_PATIENCE_S = 2.0


class Newest(NamedTuple):
    """Weights that do not change, and the number of updates behind them."""

    version: int
    weights: Weights


class _Held:
    """An engine, and the version of the weights that it holds."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.version = engine, -1

    def load(self, newest: Newest) -> None:
        """Give the engine weights that it does not hold yet."""
        if self.version != newest.version:
            self.engine.load_weights(newest.weights, version=newest.version)
            self.version = newest.version


def _leave(thread: ThreadPoolExecutor, end: Future[None], engine: Engine) -> None:
    """Wait for the end of a thread that was told to, and keep its engine from delaying that.

    A thread that waits for something else, a lost replica or a judge, is left to itself: it ends
    when the engine and the rewards are closed.
    """
    until = time.monotonic() + _PATIENCE_S
    while not wait([end], timeout=0.1).done and time.monotonic() < until:
        if isinstance(engine, AbortableEngine):
            engine.abort()
    thread.shutdown(wait=end.done())


def open_sampler(
    source: Batches, spare: Batches, rollouts: Rollouts, settings: TrainSettings
) -> WholeBatches | PartialRollouts:
    """The way of sampling that grpo.partial_rollouts asks for, as a context manager."""
    if settings.grpo.partial_rollouts:
        return PartialRollouts(source, spare, rollouts, settings)

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
        self._newest, self._held = Newest(-1, ()), _Held(engine)
        self._batches: dict[int, Future[list[ScoredGroup]]] = {}
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")

    def __enter__(self) -> WholeBatches:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        _leave(self._thread, self._thread.submit(lambda: None), self.engine)

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
        if self._closed:
            raise AbortedError("nothing is sampled any more")
        self._held.load(newest)
        return action()


@dataclass(eq=False)
class _Batch:
    """A batch under way.

    turn: 0, or the round of dynamic sampling; handles: of that round's groups, None while under
    way; scored_P: what the rounds before it left; whole: done when no round follows.
    """

    step: int
    turn: int = 0
    handles: list[ScoreHandle | None] = field(default_factory=list)
    scored_P: list[ScoredGroup] = field(default_factory=list)
    whole: Future[None] = field(default_factory=Future)

    def ended(self) -> bool:
        """Whether all groups of the round have."""
        return None not in self.handles

    def scored(self) -> bool:
        """Whether `result` would not wait."""
        return all(handle is not None and handle.done() for handle in self.handles)

    def result(self, settings: TrainSettings) -> list[ScoredGroup]:
        """Wait for the round's rewards; the groups in the order of the problems."""
        found = [handle.result() for handle in self.handles if handle is not None]
        return replace_empty(self.scored_P, found, settings) if self.turn else found


class _Owed(NamedTuple):
    """A group under way: its batch, its place in it, its problem."""

    batch: _Batch
    place: int
    problem: Problem


class PartialRollouts:
    """Samples all that was begun at once; new weights take over between two decode steps.

    Groups are scored as they end. A round of dynamic sampling follows when the one before is scored
    and joins what is under way. Neighbouring batches may hold the same problem, so that an engine
    knows groups by problem, step and round.
    """

    def __init__(
        self, source: Batches, spare: Batches, rollouts: Rollouts, settings: TrainSettings
    ) -> None:
        assert isinstance(rollouts.engine, PartialEngine), "an engine without submit and poll"
        self.engine: PartialEngine = rollouts.engine
        self.source, self.spare = source, spare
        self.rollouts, self.settings = rollouts, settings
        self._num_rounds, self._sampling = settings.grpo.dynamic_sampling, settings.sampling
        self._newest, self._held = Newest(-1, ()), _Held(self.engine)
        self._batches: dict[int, _Batch] = {}
        self._open: list[_Batch] = []
        self._owed: dict[str, _Owed] = {}
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._closed = False

    def __enter__(self) -> PartialRollouts:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")
        self._running = self._thread.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._orders.put(lambda: None)
        _leave(self._thread, self._running, self.engine)

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
        batch = self._batches.pop(step)
        self._wait(batch.whole)
        return batch.result(self.settings)

    def between(self, action: Callable[[], None]) -> None:
        """Do something under the newest weights once all that was begun is whole; wait for it."""
        done: Future[None] = Future()

        def alone() -> None:
            while self._open:
                if self._closed:
                    return
                self._go_on()
            action()
            done.set_result(None)

        self._orders.put(alone)
        self._wait(done)

    def _wait(self, future: Future[T]) -> T:
        either: list[Future[Any]] = [future, self._running]
        wait(either, return_when=FIRST_COMPLETED)
        if not future.done():
            self._running.result()  # raises: the thread ends in no other way before `__exit__`
        return future.result()

    def _run(self) -> None:
        """What the thread does: orders as they come, and decode steps in between."""
        while not self._closed:
            if self._orders.empty() and self._open:
                self._go_on()
            else:
                self._orders.get()()

    def _load(self) -> None:
        self._held.load(self._newest)

    def _submit(self, batches: list[_Batch]) -> None:
        self._open += batches
        asked = [self._ask(batch, self.source.batch(batch.step)) for batch in batches]
        self.engine.submit([request for some in asked for request in some], self._sampling)

    def _ask(self, batch: _Batch, problems: list[Problem]) -> list[GroupRequest]:
        """The requests of a round, which are owed from now on."""
        batch.handles = [None] * len(problems)
        requests = []
        for place, problem in enumerate(problems):
            asked = group_request(batch.step, batch.turn, problem, self.rollouts, self.settings)
            name = f"{problem.id} of step {batch.step}" + f", round {batch.turn}" * bool(batch.turn)
            self._owed[name] = _Owed(batch, place, problem)
            requests.append(replace(asked, id=name))
        return requests

    def _go_on(self) -> None:
        """A decode step, or a moment's wait for scores; and what follows from it."""
        if self._owed:
            for finished in self.engine.poll():
                self._score(finished)
        else:
            time.sleep(_MOMENT_S)
        for batch in [batch for batch in self._open if batch.ended()]:
            if batch.turn == self._num_rounds or batch.scored():
                self._end_round(batch)

    def _end_round(self, batch: _Batch) -> None:
        """Begin the next round that a batch needs; without one it is whole."""
        while batch.turn < self._num_rounds:
            batch.scored_P = batch.result(self.settings)
            batch.turn, batch.handles = batch.turn + 1, []
            fresh = spare_problems(
                batch.step, batch.turn, batch.scored_P, self.spare, self.settings
            )
            if fresh:
                self.engine.submit(self._ask(batch, fresh), self._sampling)
                return
        self._open.remove(batch)
        batch.whole.set_result(None)

    def _score(self, finished: FinishedGroup) -> None:
        request, completions = finished
        batch, place, problem = self._owed.pop(request.id)
        group = RolloutGroup(problem, request.prompt_ids, completions)
        batch.handles[place] = self.rollouts.scorer.submit_group(group)
