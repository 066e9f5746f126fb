"""A general model as a callable: prompts and seeds in, replies out.

    generate = engine_generate(engine, renderer, sampling)      # a checkpoint of the run
    generate = endpoint_generate(lambda: Endpoint(settings))    # any OpenAI-compatible endpoint

Resuming gives the same bytes only where a reply follows from its prompt and seed, as an engine's
does. An endpoint's replies do not: use call.resume = "prompt" with one, so that nothing that was
paid for is asked again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from r1.errors import UserError
from r1.judge.limits import MAX_RETRY_AFTER_S, RateLimiter, Sent, backoff_s, jitter
from r1.judge.lookup import run_to_end
from r1.judge.model import ChatModel, NoReplyError, estimate_tokens
from r1.judge.settings import LimitSettings
from r1.rollout.protocol import Engine
from r1.rollout.settings import SamplingSettings
from r1.template import Renderer
from r1.types import GroupRequest

THINK = "<think>"


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt; the same prompt with another seed is another sample."""

    prompt: str
    seed: int


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """What came back. cut: it ended at the token limit, or never came; then it is not used."""

    text: str
    cut: bool = False


Generate = Callable[[Sequence[Ask]], Sequence[GeneratedText]]
"""Replies in the order of the asks."""


T = TypeVar("T")
Begin = Callable[[Callable[[], T]], Callable[[], T]]
"""Begins work and returns what waits for its result."""


@contextmanager
def asking(ahead: int) -> Iterator[Begin]:
    """Give a Begin: in threads where calls are asked ahead of the one that is waited for.

    ahead: how many (r1.rollout.engine_pool.calls_ahead); with 0, work is done when it is waited
    for. Left early, threads are not waited for: whoever closes the engines ends them.
    """
    if not ahead:
        yield lambda work: work
        return
    threads = ThreadPoolExecutor(ahead + 1, thread_name_prefix="asking")
    try:
        yield lambda work: threads.submit(work).result
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def engine_generate(engine: Engine, renderer: Renderer, sampling: SamplingSettings) -> Generate:
    """An engine with a template; where prompts end in `<think>`, replies begin with it."""

    def generate(asks: Sequence[Ask]) -> list[GeneratedText]:
        requests = [
            GroupRequest(str(i), tuple(renderer.encode(ask.prompt)), (ask.seed,))
            for i, ask in enumerate(asks)
        ]
        replies: dict[str, GeneratedText] = {}
        opening = THINK if renderer.opens_think else ""
        for group in engine.generate(requests, sampling):
            completion = group.completions[0]
            cut = completion.finish_reason == "length"
            replies[group.request.id] = GeneratedText(opening + completion.text, cut)
        return [replies[request.id] for request in requests]

    return generate


def endpoint_generate(
    open_model: Callable[[], ChatModel], limits: LimitSettings | None = None
) -> Generate:
    """An endpoint (r1.judge.endpoint.Endpoint), opened anew for every batch of asks.

    Seeds are not sent: the endpoint's own settings say how it draws. limits: of requests, as for a
    judge. A request whose tries are used up gives a reply that is cut. Raises UserError where no
    request can succeed (a key refused, an unknown model), and where none of a batch brought a reply
    though each might have: that is the endpoint's failure, and no fault of the prompts.
    """
    limits = limits or LimitSettings()
    window: deque[Sent] = deque()

    async def ask_one(
        model: ChatModel, prompt: str, places: asyncio.Semaphore, limiter: RateLimiter
    ) -> GeneratedText | NoReplyError:
        for attempt in range(limits.retries + 1):
            try:
                async with places:
                    sent = await limiter.acquire(estimate_tokens(prompt))
                    reply = await model.ask(prompt)
                sent.tokens = reply.tokens_in + reply.tokens_out
                return GeneratedText(reply.text, reply.finish_reason == "length")
            except NoReplyError as error:
                wait = error.retry_after_s or 0.0
                last = attempt == limits.retries or wait > MAX_RETRY_AFTER_S
                if last or not error.again:
                    return error
                limiter.pause(wait)
            jittered = backoff_s(attempt, limits.backoff_s, jitter())
            await asyncio.sleep(wait + jittered)
        raise AssertionError("the loop returns")

    async def ask_all(asks: Sequence[Ask]) -> list[GeneratedText]:
        model, places = open_model(), asyncio.Semaphore(limits.concurrency)
        limiter = RateLimiter(limits.requests_per_minute, limits.tokens_per_minute, window=window)
        try:
            prompts = [ask.prompt for ask in asks]
            found = await asyncio.gather(*(ask_one(model, p, places, limiter) for p in prompts))
        finally:
            await model.close()
        if found and all(isinstance(one, NoReplyError) and one.again for one in found):
            raise UserError(
                f"the general model's endpoint answered none of {len(found)} requests (the last: "
                f"{found[-1]}): see that it runs and answers; the same command carries on. "
                "endpoint.limits.retries and timeout_s say how long it is waited for."
            )
        return [
            one if isinstance(one, GeneratedText) else GeneratedText("", cut=True) for one in found
        ]

    def generate(asks: Sequence[Ask]) -> list[GeneratedText]:
        return run_to_end(ask_all(asks))

    return generate
