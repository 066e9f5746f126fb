"""Partial rollouts: all that was begun is sampled at once; new weights take over between two decode
steps, in the midst of responses.

The clock decides which weights draw a token, so that a run carried on after a kill is as valid as
one that was not, but another one. The thread owns the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from r1.rollout.protocol import FinishedGroup, PartialEngine
from r1.rollout.scored import ScoreHandle
from r1.sampling.beside import Newest, VersionedEngine, end_thread, snapshot
from r1.sampling.protocol import Weights
from r1.sampling.roll_out import (
    BatchSource,
    Rollouts,
    group_request,
    replace_empty,
    spare_problems,
)
from r1.types import GroupRequest, Problem, RolloutGroup, ScoredGroup

T = TypeVar("T")
MOMENT_S = 0.01


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

    def result(self, source: BatchSource) -> list[ScoredGroup]:
        """Wait for the round's rewards; the groups in the order of the problems."""
        found = [handle.result() for handle in self.handles if handle is not None]
        return replace_empty(self.scored_P, found, source) if self.turn else found


class _Owed(NamedTuple):
    """A group under way: its batch, its place in it, its problem."""

    batch: _Batch
    place: int
    problem: Problem


class PartialRollouts:
    """See r1.sampling.protocol.Sampler. Groups are scored as they end. A round of dynamic sampling
    follows when the one before is scored and joins what is under way. Neighbouring batches may hold
    the same problem, so that an engine knows groups by problem, step and round.
    """

    def __init__(self, source: BatchSource, rollouts: Rollouts) -> None:
        assert isinstance(rollouts.engine, PartialEngine), "an engine without submit and poll"
        self.engine: PartialEngine = rollouts.engine
        self.source, self.rollouts = source, rollouts
        self._newest, self._loaded = Newest(-1, ()), VersionedEngine(self.engine)
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
        end_thread(self._thread, self._running, self.engine)

    def renew(self, weights: Weights, version: int) -> None:
        """Let everything go on under these weights, what is under way too."""
        self._newest = Newest(version, snapshot(weights))
        self._orders.put(self._load)

    def begin(self, steps: Iterable[int]) -> None:
        batches = [_Batch(step) for step in steps]
        self._batches |= {batch.step: batch for batch in batches}
        if batches:
            self._orders.put(partial(self._submit, batches))

    def take(self, step: int) -> list[ScoredGroup]:
        batch = self._batches.pop(step)
        self._wait(batch.whole)
        return batch.result(self.source)

    def run_when_idle(self, action: Callable[[], None]) -> None:
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
        self._loaded.load(self._newest)

    def _submit(self, batches: list[_Batch]) -> None:
        self._open += batches
        asked = [self._ask(batch, self.source.problems.batch(batch.step)) for batch in batches]
        self.engine.submit([request for some in asked for request in some], self.source.sampling)

    def _ask(self, batch: _Batch, problems: list[Problem]) -> list[GroupRequest]:
        """The requests of a round, which are owed from now on."""
        batch.handles = [None] * len(problems)
        requests = []
        for place, problem in enumerate(problems):
            asked = group_request(batch.step, batch.turn, problem, self.source, self.rollouts)
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
            time.sleep(MOMENT_S)
        for batch in [batch for batch in self._open if batch.ended()]:
            if batch.turn == self.source.rounds or batch.scored():
                self._end_round(batch)

    def _end_round(self, batch: _Batch) -> None:
        """Begin the next round that a batch needs; without one it is whole."""
        while batch.turn < self.source.rounds:
            batch.scored_P = batch.result(self.source)
            batch.turn, batch.handles = batch.turn + 1, []
            fresh = spare_problems(batch.step, batch.turn, batch.scored_P, self.source)
            if fresh:
                self.engine.submit(self._ask(batch, fresh), self.source.sampling)
                return
        self._open.remove(batch)
        batch.whole.set_result(None)

    def _score(self, finished: FinishedGroup) -> None:
        request, completions = finished
        batch, place, problem = self._owed.pop(request.id)
        group = RolloutGroup(problem, request.prompt_ids, completions)
        batch.handles[place] = self.rollouts.scorer.submit_group(group)
