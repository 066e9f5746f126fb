"""One simulated engine with continuous batching: rows enter and leave between two iterations.

An iteration gives every living row one token. With b rows and K cached tokens it takes

    overhead + max(weights read once, b x arithmetic of a token) + K x reading one cached token

(a roofline), so that n iterations between two events take a closed form: nothing is stepped token
by token. A prompt is computed when its group's first row enters and keeps the others waiting. A row
that has ended makes room for the next before the next iteration.

Left out on purpose: eviction (a row's room is reserved), chunked prefill, speculation.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple


class EngineSpeed(NamedTuple):
    """Seconds. overhead_s: of an iteration. weights_s: read what every token passes. experts_s:
    read all routed experts; chosen_share of them are passed by one token, so that b tokens read
    1 - (1 - chosen_share)^b of them. row_s: arithmetic of one token. context_s: read one cached
    token. prefill_s: compute one token of a prompt."""

    overhead_s: float
    weights_s: float = 0.0
    row_s: float = 0.0
    context_s: float = 0.0
    prefill_s: float = 0.0
    experts_s: float = 0.0
    chosen_share: float = 1.0

    def base(self, rows: int) -> float:
        """Seconds of one iteration with that many rows and nothing cached."""
        touched = 1.0 - (1.0 - self.chosen_share) ** rows
        read = self.weights_s + self.experts_s * touched
        return self.overhead_s + max(read, self.row_s * rows)

    def seconds(self, rows: int, context: float, iterations: float) -> float:
        """Seconds of some iterations in a row: the cache grows by one token a row in each."""
        grown = context * iterations + rows * iterations * (iterations + 1) / 2
        return self.base(rows) * iterations + self.context_s * grown


class Response(NamedTuple):
    """A response to come: its group, the tokens of its prompt, its own length."""

    group: int
    prompt: int
    length: int


@dataclass
class Replica:
    """An engine at `clock`. next_time: when its next row ends. ended: (time, response) of what has
    ended and was not taken away yet."""

    speed: EngineSpeed
    slots: int
    clock: float = 0.0
    iteration: int = 0
    context: float = 0.0
    busy_s: float = 0.0
    row_seconds: float = 0.0
    tokens: int = 0
    next_time: float = math.inf
    waiting: deque[Response] = field(default_factory=deque)
    rows: list[tuple[int, int, Response]] = field(default_factory=list)
    ended: list[tuple[float, Response]] = field(default_factory=list)
    _prefilled: int = -1
    _count: int = 0

    @property
    def idle(self) -> bool:
        """Nothing to do."""
        return not (self.rows or self.waiting)

    @property
    def free(self) -> int:
        """Rows that a new response could have at once."""
        return self.slots - len(self.rows) - len(self.waiting)

    def add(self, responses: list[Response], now: float) -> None:
        """Responses of one group, to be sampled from `now` on."""
        self.run(now)
        self.clock = max(self.clock, now)
        self.waiting.extend(responses)
        self._admit()
        self._look_ahead()

    def run(self, until: float) -> None:
        """Iterate up to `until`; an iteration under way is finished, so the clock may pass it."""
        while self.rows and self.clock < until:
            left = self.rows[0][0] - self.iteration
            if self.clock + self.speed.seconds(len(self.rows), self.context, left) > until:
                left = min(left, self._iterations(until - self.clock))
            self._iterate(left)
        self._look_ahead()

    def finish_next(self) -> None:
        """Iterate until the next row ends."""
        self._iterate(self.rows[0][0] - self.iteration)
        self._look_ahead()

    def pause(self, now: float, seconds: float) -> None:
        """Stand still for new weights from the end of the iteration at `now`, then compute what is
        cached again."""
        self.run(now)
        again = self.speed.prefill_s * self.context
        self.clock = max(self.clock, now) + seconds + again
        self.busy_s += again
        self._look_ahead()

    def _look_ahead(self) -> None:
        self.next_time = math.inf
        if self.rows:
            left = self.rows[0][0] - self.iteration
            self.next_time = self.clock + self.speed.seconds(len(self.rows), self.context, left)

    def _iterations(self, seconds: float) -> int:
        """The fewest iterations that take that long."""
        rows, c = len(self.rows), self.speed.context_s
        a, b = c * rows / 2, self.speed.base(rows) + c * (self.context + rows / 2)
        if a * seconds < 1e-9 * b * b:
            return max(1, math.ceil(seconds / b - 1e-9)) if b > 0 else 1
        root = (-b + math.sqrt(b * b + 4 * a * seconds)) / (2 * a)
        return max(1, math.ceil(root - 1e-9))

    def _iterate(self, number: int) -> None:
        rows = len(self.rows)
        seconds = self.speed.seconds(rows, self.context, number)
        self.clock += seconds
        self.busy_s += seconds
        self.row_seconds += rows * seconds
        self.tokens += rows * number
        self.iteration += number
        self.context += rows * number
        while self.rows and self.rows[0][0] <= self.iteration:
            _, _, response = heapq.heappop(self.rows)
            self.context -= response.prompt + response.length
            self.ended.append((self.clock, response))
        self._admit()

    def _admit(self) -> None:
        while self.waiting and len(self.rows) < self.slots:
            response = self.waiting.popleft()
            if response.group != self._prefilled:
                self._prefilled = response.group
                prefill = self.speed.prefill_s * response.prompt
                self.clock += prefill
                self.busy_s += prefill
            self._count += 1
            end = self.iteration + max(1, response.length)
            heapq.heappush(self.rows, (end, self._count, response))
            self.context += response.prompt
