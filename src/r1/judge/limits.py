"""Rate limits: a sliding window over the last minute, and pauses for all requests.

No window of 60 s has more requests or tokens than the limits. Tokens are estimated when a request
is sent, and corrected when its reply arrives.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WINDOW_S = 60.0
MAX_BACKOFF = 60.0
"""Longest wait between two tries, as a multiple of the first: a minute where that is a second."""
MAX_RETRY_AFTER_S = 300.0
"""A server that asks for a longer pause than this has run out of quota: the request ends."""


def backoff_s(attempt: int, base_s: float, random_01: float) -> float:
    """Return the wait after failed try `attempt` (from 0): exponential with full jitter.

    random_01 · base_s · min(MAX_BACKOFF, 2^attempt); jitter keeps clients from returning together.
    """
    return random_01 * min(base_s * MAX_BACKOFF, base_s * 2.0 ** min(attempt, 60))


@dataclass(slots=True)
class Sent:
    """One request in the window; its tokens may be corrected later."""

    at: float
    tokens: int


class RateLimiter:
    """Limits requests, first come, first served; belongs to one event loop.

    window: what went out in the last minute, for limiters of event loops that follow one another.
    """

    def __init__(
        self,
        requests_per_minute: int | None,
        tokens_per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        window: deque[Sent] | None = None,
    ) -> None:
        self._max_requests = requests_per_minute
        self._max_tokens = tokens_per_minute
        self._clock = clock
        self._sleep = sleep
        self._window: deque[Sent] = deque() if window is None else window
        self._turn = asyncio.Lock()
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Block all requests for this time, as the endpoint asked."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def acquire(self, tokens: int) -> Sent:
        """Wait until a request of about so many tokens may be sent; return its entry."""
        async with self._turn:
            while (wait := self._wait_s(tokens)) > 0.0:
                await self._sleep(wait)
            sent = Sent(self._clock(), tokens)
            if self._max_requests is not None or self._max_tokens is not None:
                self._window.append(sent)
            return sent

    def _wait_s(self, tokens: int) -> float:
        now = self._clock()
        while self._window and self._window[0].at <= now - WINDOW_S:
            self._window.popleft()
        wait = self._paused_until - now
        if self._max_requests is not None and len(self._window) >= self._max_requests:
            wait = max(wait, self._window[-self._max_requests].at + WINDOW_S - now)
        if self._max_tokens is not None:
            wait = max(wait, self._token_wait_s(tokens, now))
        return wait

    def _token_wait_s(self, tokens: int, now: float) -> float:
        """Return the seconds until enough of the window's tokens are a minute old."""
        assert self._max_tokens is not None
        # A request above the limit itself would never fit: it goes out alone.
        excess = sum(sent.tokens for sent in self._window) + tokens - self._max_tokens
        for sent in self._window:
            if excess <= 0:
                return 0.0
            excess -= sent.tokens
            if excess <= 0 or sent is self._window[-1]:
                return sent.at + WINDOW_S - now
        return 0.0


def jitter() -> float:
    """A random number in [0, 1)."""
    return random.random()
