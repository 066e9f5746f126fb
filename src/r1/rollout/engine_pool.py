"""Several engines with the same weights behind one Engine that accepts work ahead of time.

    generate(window 1) ----.                        .--> engine 0
    generate(window 2) -----+--> queue of calls ---+---> engine 1
                                                    '--> engine 2

`generate` queues its requests at once, before its first group is taken, so that a caller that works
in windows begins the next one while the slowest samples of this one end (`calls_ahead` gives their
number), and no engine waits for another. How requests are cut into calls depends on the requests
alone, never on timing; groups come back in the order they end.

An engine that is lost for good leaves the pool with a warning, and its unfinished groups go to the
others; callers get an error only when no engine is left.

Back-pressure is the caller's: the pool holds the groups that were queued and not yet taken, so a
caller that keeps few windows open needs constant memory.

Left out on purpose: new weights (a policy's engines are r1.cluster.ray_engine's), and calls made
of several callers' requests.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol

from r1.errors import UserError
from r1.rollout.protocol import Engine, EngineDiedError, FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import GroupRequest

logger = logging.getLogger("r1.rollout")

BATCHES_PER_CALL = 4
"""An engine's batch runs empty at the end of a call, so a call is several batches long where there
is that much to do."""
JOIN_S = 30.0


class ClosingEngine(Engine, Protocol):
    """An engine that another thread can close while one waits for it."""

    def close(self) -> None:
        """End its processes; waiting callers get an error."""


@dataclass(eq=False)
class _PendingCall:
    """One call of `generate`. found: its groups, or the exception that ended it."""

    sampling: SamplingSettings
    calls: deque[Sequence[GroupRequest]]
    found: SimpleQueue[FinishedGroup | BaseException] = field(default_factory=SimpleQueue)
    withdrawn: bool = False


class EnginePool:
    """Implements rollout.protocol.LoadedEngine over several engines, which it owns and closes."""

    def __init__(
        self,
        engines: Sequence[ClosingEngine],
        tokenizer: Any,
        num_parameters: int,
        max_batch: int,
        groups_per_call: int = 0,
        lost: type[Exception] = EngineDiedError,
    ) -> None:
        """Start a thread per engine. max_batch: samples that one engine draws together.
        groups_per_call: 0 chooses. lost: the exception of an engine that is lost for good."""
        self.tokenizer, self.num_parameters = tokenizer, num_parameters
        self.capacity = len(engines) * max_batch
        self._engines = list(engines)
        self._alive, self._lost = len(self._engines), lost
        self._why_none: str | None = None
        self._max_batch, self._groups_per_call = max_batch, groups_per_call
        self._asked: deque[_PendingCall] = deque()
        self._under_way: list[_PendingCall] = []
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._serve, args=(e,), name=f"engine-{i}", daemon=True)
            for i, e in enumerate(self._engines)
        ]
        for thread in self._threads:
            thread.start()

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Queue the requests now; yield every group when an engine has finished it.

        Raises what an engine raises, and UserError where every engine is lost. If the iterator is
        dropped half-way, calls that have not begun are not sampled.
        """
        asked = _PendingCall(sampling, deque(self._calls(requests)))
        with self._changed:
            assert not self._closed, "the pool is closed"
            if self._why_none is not None:
                asked.found.put(UserError(self._why_none))
            elif asked.calls:
                self._asked.append(asked)
            self._changed.notify_all()
        return self._groups(asked, len(requests))

    def load_weights(self, weights: Iterable[tuple[str, Any]], version: int) -> None:
        """Raise an error: these engines serve the weights they were loaded with."""
        raise NotImplementedError("engines of offline work serve the weights of their folder")

    def stream(
        self, prompt_ids: Sequence[int], sampling: SamplingSettings, seed: int = 0
    ) -> Generator[str, None, str]:
        """Yield one response's text in one piece; return how it ended."""
        request = GroupRequest("stream", tuple(prompt_ids), (seed,))
        (group,) = self.generate([request], sampling)
        yield group.completions[0].text
        return group.completions[0].finish_reason

    def close(self) -> None:
        """End the engines; waiting callers get an error."""
        with self._changed:
            self._closed = True
            for asked in {*self._asked, *self._under_way}:
                asked.withdrawn = True
                asked.found.put(RuntimeError("the engines were closed"))
            self._asked.clear()
            self._changed.notify_all()
        for engine in self._engines:
            engine.close()
        for thread in self._threads:
            thread.join(JOIN_S)

    def _calls(self, requests: Sequence[GroupRequest]) -> Iterator[Sequence[GroupRequest]]:
        """Split the requests into calls: even over the engines, at most several batches long."""
        if not requests:
            return
        size = self._groups_per_call
        if not size:
            samples = max(1, max(len(request.seeds) for request in requests))
            fits = max(1, self._max_batch // samples)
            size = min(BATCHES_PER_CALL * fits, math.ceil(len(requests) / len(self._engines)))
        for start in range(0, len(requests), size):
            yield requests[start : start + size]

    def _groups(self, asked: _PendingCall, number: int) -> Iterator[FinishedGroup]:
        try:
            for _ in range(number):
                found = asked.found.get()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            self._withdraw(asked)

    def _withdraw(self, asked: _PendingCall) -> None:
        with self._changed:
            asked.withdrawn = True
            if asked in self._asked:
                self._asked.remove(asked)

    def _serve(self, engine: Engine) -> None:
        """Run one engine's thread: call after call, the oldest caller's first."""
        while (taken := self._take()) is not None:
            asked, call = taken
            ended: set[str] = set()
            gone = False
            try:
                for group in engine.generate(call, asked.sampling):
                    ended.add(group.request.id)
                    asked.found.put(group)
                    if asked.withdrawn:
                        break
            except BaseException as error:  # handed to whoever waits for these groups
                gone = isinstance(error, self._lost) and not self._closed
                if gone:
                    self._hand_on(asked, [r for r in call if r.id not in ended], error)
                else:
                    self._withdraw(asked)
                    asked.found.put(error)
            with self._changed:
                self._under_way.remove(asked)
            if gone:
                return

    def _hand_on(
        self, asked: _PendingCall, owed: Sequence[GroupRequest], error: BaseException
    ) -> None:
        """Return a lost engine's groups to the front of the queue for the others."""
        with self._changed:
            self._alive -= 1
            if self._alive:
                logger.warning(
                    "%s; this engine is lost for good and the other %d take over its groups.",
                    error.__cause__ or error,
                    self._alive,
                )
                if owed and not asked.withdrawn:
                    asked.calls.appendleft(owed)
                    if asked not in self._asked:
                        self._asked.appendleft(asked)
                self._changed.notify_all()
                return
            self._why_none = f"every engine is lost: {error}"
            for waiting in {*self._asked, asked}:
                waiting.withdrawn = True
                waiting.found.put(UserError(self._why_none))
            self._asked.clear()

    def _take(self) -> tuple[_PendingCall, Sequence[GroupRequest]] | None:
        """Wait for the next call; None when the pool is closed."""
        with self._changed:
            while not self._asked and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            asked = self._asked[0]
            call = asked.calls.popleft()
            if not asked.calls:
                self._asked.popleft()
            self._under_way.append(asked)
            return asked, call


def capacity(engine: Engine) -> int:
    """Return the samples that an engine with a queue draws together; 0 for one without."""
    return getattr(engine, "capacity", 0)


def calls_ahead(capacity: int, samples: int) -> int:
    """Return how many windows of `samples` samples to open beyond the current one.

    One for the ends of windows, and as many as fill the engines; 0 without a pool (capacity 0).
    """
    return 1 + math.ceil(capacity / samples) if capacity else 0
