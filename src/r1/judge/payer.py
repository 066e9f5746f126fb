"""Get one reply to one request, and keep it: budget, limits and retries, in that order.

    (set aside the price -> wait for the turn -> send -> keep)* -> replies, or why there are none

What is asked is the caller's: a verdict (r1.judge.asker), or samples of a model under evaluation
(r1.endpoint).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from r1.judge.budget import Budget, TokenUsage
from r1.judge.cache import ReplyCache
from r1.judge.counts import JudgeCounts
from r1.judge.limits import MAX_RETRY_AFTER_S, RateLimiter, backoff_s, jitter
from r1.judge.model import NoReplyError, Reply
from r1.judge.settings import EndpointSettings

TOLD_AFTER_S = 60.0
"""So long without any reply, while requests fail, and it is told, once until one comes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Tries used up. timed_out: every one in silence. again: a later request may succeed."""

    reason: str
    timed_out: bool
    again: bool


class PaidRequest(NamedTuple):
    """A request that may be billed. keys[i]: under which reply i is kept, with the nonce.

    most: its highest price. send: makes one try; returns at most len(keys) replies, at least one.
    """

    keys: Sequence[str]
    nonce: str
    most: TokenUsage
    send: Callable[[], Awaitable[Sequence[Reply]]]


class ClosedError(RuntimeError):
    """Asking was ended before the reply was there."""


class Payer:
    """Sends requests; belongs to one event loop.

    Raises (from `pay`) UserError where the budget is used up or no request can succeed.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        cache: ReplyCache,
        random_01: Callable[[], float] = jitter,
    ) -> None:
        limits = settings.limits
        self.counts = JudgeCounts()
        self.num_under_way = 0
        self.stopping = False
        self._settings = settings
        self._cache = cache
        self._random_01 = random_01
        self._budget = Budget(settings.budget, cache.usage, settings.words)
        self._limiter = RateLimiter(limits.requests_per_minute, limits.tokens_per_minute)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._room = asyncio.Event()
        self._failing_since: float | None = None
        self._told = False

    async def pay(self, request: PaidRequest) -> Sequence[Reply] | Unanswered:
        """Send a request until replies are received and stored, or the tries are used up."""
        limits = self._settings.limits
        only_silence = True
        for attempt in range(limits.retries + 1):
            try:
                return await self._send(request)
            except NoReplyError as error:
                self.counts.failures[error.cause] += 1
                self._tell(error)
                only_silence &= error.cause == "timeout"
                wait = error.retry_after_s or 0.0
                last = attempt == limits.retries or wait > MAX_RETRY_AFTER_S
                if last or not error.again:
                    self.counts.gave_up[error.cause] += 1
                    reason = f"no reply in {attempt + 1} tries: {error}"
                    return Unanswered(reason, timed_out=only_silence, again=error.again)
                self._limiter.pause(wait)
            jittered = backoff_s(attempt, limits.backoff_s, self._random_01())
            await asyncio.sleep(wait + jittered)
        raise AssertionError("the loop returns")

    def _tell(self, error: NoReplyError) -> None:
        """Warn that the endpoint is silent, since a waiting step shows nothing else."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if not self._told and now - self._failing_since >= TOLD_AFTER_S:
            self._told = True
            limits, words = self._settings.limits, self._settings.words
            logger.warning(
                "%s %s has given no reply for %.0f s (%s). Each request is tried %d times, for at "
                "most %g s each (%s.limits); then its answer counts as %s.",
                words.owner,
                self._settings.base_url,
                now - self._failing_since,
                error,
                limits.retries + 1,
                limits.timeout_s,
                words.section,
                words.unanswered,
            )

    async def _send(self, request: PaidRequest) -> Sequence[Reply]:
        """Make one try: take a slot, reserve the price, wait for a turn, send."""
        most = request.most
        async with self._slots:
            await self._reserve(most)
            try:
                sent = await self._limiter.acquire(most.tokens_in + most.tokens_out)
                if self.stopping:
                    raise ClosedError("closed before it could ask")
                replies = await self._ask(request)
                # No await between the replies and their lines in the cache: closing relies on it.
                for key, reply in zip(request.keys, replies, strict=False):
                    self._cache.add(key, request.nonce, reply)
            finally:
                self._budget.release(most)
                self._room.set()
        self._failing_since, self._told = None, False
        sent.tokens = sum(reply.tokens_in + reply.tokens_out for reply in replies)
        for reply in replies:
            self.counts.usage.add(TokenUsage(1, reply.tokens_in, reply.tokens_out))
        return replies

    async def _ask(self, request: PaidRequest) -> Sequence[Reply]:
        """Send once; record a request that brought no reply and may be billed."""
        self.counts.requests += 1
        self.num_under_way += 1
        try:
            return await request.send()
        except NoReplyError as error:
            if error.maybe_billed:
                self._cache.add_unanswered(request.keys[0], error.cause, request.most)
            raise
        except asyncio.CancelledError:
            self._cache.add_unanswered(request.keys[0], "broken-off", request.most)
            raise
        finally:
            self.num_under_way -= 1

    async def _reserve(self, most: TokenUsage) -> None:
        """Reserve the price; wait while requests in flight may still turn out cheaper."""
        while not self._budget.reserve(most):
            if self._budget.idle():
                raise self._budget.exhausted(most)
            self._room.clear()
            await self._room.wait()
