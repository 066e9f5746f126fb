"""Get one verdict for one task: cache, budget, limits, retries and strict reading, in that order.

    kept replies -> (set aside the price -> wait for the turn -> send -> keep)* -> read

Simultaneous equal requests are sent once. A reply is stored before it is read. A malformed one is
asked for again with a new nonce, malformed_retries times, and is then a failure of the judge, never
a verdict. A resumed run finds the malformed replies too and does not pay for them again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from r1.judge.budget import Budget, TokenUsage
from r1.judge.cache import ReplyCache, cache_key
from r1.judge.counts import JudgeCounts
from r1.judge.first_token import read_task
from r1.judge.limits import MAX_RETRY_AFTER_S, RateLimiter, backoff_s, jitter
from r1.judge.model import ChatModel, NoReplyError, Reply, estimate_tokens
from r1.judge.prompt import PLACEHOLDER, JudgeTask, build_prompt, fresh_nonce
from r1.judge.settings import JudgeSettings
from r1.judge.verdict import ReplyDefect, Verdict
from r1.types import Outcome

TOLD_AFTER_S = 60.0
"""So long without any reply, while requests fail, and it is told, once until one comes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """Why the judge gave no verdict. outcome: VERIFIER_FAILED, or TIMED_OUT if every try timed out.

    unanswered: no reply came, though a later request may have one.
    """

    outcome: Outcome
    reason: str
    unanswered: bool = False


class JudgeClosedError(RuntimeError):
    """The judge was closed before the verdict was ready."""


class Asker:
    """Asks for verdicts; belongs to one event loop.

    Raises (from `verdict`) UserError where the budget is used up or no request can succeed.
    """

    def __init__(
        self,
        model: ChatModel,
        settings: JudgeSettings,
        cache: ReplyCache,
        random_01: Callable[[], float] = jitter,
    ) -> None:
        limits = settings.limits
        self.counts = JudgeCounts()
        self.num_under_way = 0
        self.stopping = False
        self._model = model
        self._settings = settings
        self._cache = cache
        self._random_01 = random_01
        self._budget = Budget(settings.budget, cache.usage)
        self._limiter = RateLimiter(limits.requests_per_minute, limits.tokens_per_minute)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._room = asyncio.Event()
        self._failing_since: float | None = None
        self._told = False
        self._asked: dict[str, asyncio.Task[Verdict | NoVerdict]] = {}

    async def verdict(self, task: JudgeTask, vote: int = 0) -> Verdict | NoVerdict:
        """Return the model's verdict on a task. vote: numbers independent replies to one task."""
        key = cache_key(self._model.identity, build_prompt(task, PLACEHOLDER), vote)
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._find(key, task))
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key))
        else:
            self.counts.shared += 1
        return await asyncio.shield(asked)

    async def _find(self, key: str, task: JudgeTask) -> Verdict | NoVerdict:
        kept = self._cache.get(key)
        self.counts.from_cache += len(kept)
        defect = ReplyDefect.EMPTY
        for number in range(max(len(kept), self._settings.malformed_retries + 1)):
            if number < len(kept):
                nonce, reply = kept[number]
            else:
                nonce = fresh_nonce(task)
                paid = await self._pay(key, nonce, build_prompt(task, nonce))
                if isinstance(paid, NoVerdict):
                    return paid
                reply = paid
            self.counts.read.add(TokenUsage(1, reply.tokens_in, reply.tokens_out))
            found = read_task(task, reply, nonce)
            if isinstance(found, Verdict):
                self.counts.verdicts += 1
                return found
            self.counts.malformed[str(found)] += 1
            defect = found
        self.counts.gave_up["malformed"] += 1
        return NoVerdict(Outcome.VERIFIER_FAILED, f"the judge's reply is malformed ({defect})")

    async def _pay(self, key: str, nonce: str, prompt: str) -> Reply | NoVerdict:
        """Send a request until a reply is received and stored, or the tries are used up."""
        limits = self._settings.limits
        only_silence = True
        for attempt in range(limits.retries + 1):
            try:
                return await self._send(key, nonce, prompt)
            except NoReplyError as error:
                self.counts.failures[error.cause] += 1
                self._tell(error)
                only_silence &= error.cause == "timeout"
                wait = error.retry_after_s or 0.0
                last = attempt == limits.retries or wait > MAX_RETRY_AFTER_S
                if last or not error.again:
                    self.counts.gave_up[error.cause] += 1
                    outcome = Outcome.TIMED_OUT if only_silence else Outcome.VERIFIER_FAILED
                    reason = f"no reply in {attempt + 1} tries: {error}"
                    return NoVerdict(outcome, reason, unanswered=error.again)
                self._limiter.pause(wait)
            jittered = backoff_s(attempt, limits.backoff_s, self._random_01())
            await asyncio.sleep(wait + jittered)
        raise AssertionError("the loop returns")

    def _tell(self, error: NoReplyError) -> None:
        """Warn that the judge is silent, since a waiting step shows nothing else."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if not self._told and now - self._failing_since >= TOLD_AFTER_S:
            self._told = True
            limits = self._settings.limits
            logger.warning(
                "the judge %s has given no reply for %.0f s (%s). Each request is tried %d times, "
                "for at most %g s each (rewards.judge.limits); then its answer counts as "
                "verifier-failed.",
                self._settings.base_url,
                now - self._failing_since,
                error,
                limits.retries + 1,
                limits.timeout_s,
            )

    async def _send(self, key: str, nonce: str, prompt: str) -> Reply:
        """Make one try: take a slot, reserve the price, wait for a turn, send."""
        most = TokenUsage(1, estimate_tokens(prompt), self._settings.max_tokens)
        async with self._slots:
            await self._reserve(most)
            try:
                sent = await self._limiter.acquire(most.tokens_in + most.tokens_out)
                if self.stopping:
                    raise JudgeClosedError("the judge was closed before it could ask")
                reply = await self._ask(key, prompt, most)
                # No await between the reply and its line in the cache: close() relies on it.
                self._cache.add(key, nonce, reply)
            finally:
                self._budget.release(most)
                self._room.set()
        self._failing_since, self._told = None, False
        sent.tokens = reply.tokens_in + reply.tokens_out
        self.counts.usage.add(TokenUsage(1, reply.tokens_in, reply.tokens_out))
        return reply

    async def _ask(self, key: str, prompt: str, most: TokenUsage) -> Reply:
        """Ask the model; record a request that brought no reply and may be billed."""
        self.counts.requests += 1
        self.num_under_way += 1
        try:
            return await self._model.ask(prompt)
        except NoReplyError as error:
            if error.maybe_billed:
                self._cache.add_unanswered(key, error.cause, most)
            raise
        except asyncio.CancelledError:
            self._cache.add_unanswered(key, "broken-off", most)
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
