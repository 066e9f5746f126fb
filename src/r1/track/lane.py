"""One tracker in a thread of its own: a slow, broken or hanging one holds nobody up.

Figures wait in a backlog until the tracker has taken them, in order. What it has taken is written
to track.json *before* it is sent, so that a run that is killed and resumed sends no step twice;
a kill between the two leaves one point out of the tracker, and none out of metrics.jsonl.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from r1.track.backends import Tracker

MAX_TRIES = 3
"""Failures in a row after which a tracker is left alone until the run is started again."""
CLOSE_S = 120.0
"""How long the end of a run waits for a tracker."""


class Point(NamedTuple):
    """Figures under a number of updates. kind: "step" or "evaluation"."""

    kind: str
    updates: int
    values: dict[str, float]


class TrackerLane:
    """A tracker, its thread and its backlog.

    opener: opens the tracker, at the first point. sent: kind -> updates of the newest point that
    was sent, of earlier starts too. record: keeps `sent` on the disk. warn: tells the user.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], Tracker],
        sent: dict[str, int],
        record: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        self.name, self.failures = name, 0
        self._added = self._done = 0  # the second counts what was sent or need not be
        self._opener, self._sent, self._record, self._warn = opener, sent, record, warn
        self._tracker: Tracker | None = None
        self._waiting: deque[Point] = deque()
        self._in_a_row = 0
        self._points: queue.SimpleQueue[Point | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=f"track {name}", daemon=True)
        self._thread.start()

    def add(self, point: Point) -> None:
        """Take a point, unless an earlier start of the run sent it."""
        self._added += 1
        self._points.put(point)

    def close(self) -> None:
        """Wait for the tracker to take what is left, and tell what it has not taken."""
        self._points.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self._warn(f"{self.name} has not ended within {CLOSE_S:.0f} s; it is left behind.")
        if left := self._added - self._done:
            self._warn(
                f"{self.name} did not take {left} points ({self.failures} tries failed); they are "
                "in metrics.jsonl, and the next start of this run sends them."
            )

    def _serve(self) -> None:
        while (point := self._points.get()) is not None:
            if point.updates > self._sent.get(point.kind, -1):
                self._waiting.append(point)
                self._send_waiting()
            else:
                self._done += 1
        self._send_waiting()
        if self._tracker is not None:
            self._try(self._tracker.close)

    def _send_waiting(self) -> None:
        while self._waiting and self._in_a_row < MAX_TRIES:
            if not self._try(self._send_first):
                return
            self._waiting.popleft()
            self._done += 1

    def _send_first(self) -> None:
        point = self._waiting[0]
        if self._tracker is None:
            self._tracker = self._opener()
        before = self._sent.get(point.kind)
        self._sent[point.kind] = point.updates
        self._record()
        try:
            self._tracker.log(point.updates, point.values)
        except BaseException:
            self._sent[point.kind] = -1 if before is None else before
            self._record()
            raise

    def _try(self, action: Callable[[], None]) -> bool:
        """Call a tracker's client; broad, because it is foreign code and must not end a run."""
        try:
            action()
        except Exception as error:
            self.failures, self._in_a_row = self.failures + 1, self._in_a_row + 1
            if self.failures == 1:
                reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
                self._warn(f"{self.name} failed ({reason[:200]}); the run goes on without it.")
            return False
        self._in_a_row = 0
        return True
