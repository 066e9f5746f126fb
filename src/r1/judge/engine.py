"""An engine of the project, or any `generate` callable, as the judge's model.

    model = GeneratingModel(engine_generate(engine, renderer, sampling), name="my-judge@step-400")
    with Judge(settings, model) as judge: ...

Prompts that wait at the same time go out as one batch. settings.limits.concurrency bounds how
many that can be: set it to the engine's batch. Engine replicas (r1.rollout.engine_pool) take
several batches at once: num_batches = 2 or more, and a concurrency that fills them all.

Left out on purpose: a wall clock. A thread that computes cannot be stopped; an engine that hangs
is to be run behind an endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from r1.errors import UserError
from r1.judge.model import NoReplyError, Reply, estimate_tokens
from r1.rollout.protocol import Engine
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.template import PromptRenderer
from r1.types import GroupRequest

Generate = Callable[[Sequence[str]], Sequence[str]]
"""Prompts to texts, in their order. Called from num_batches threads, one batch at a time each."""

GATHER_S = 0.01


class GeneratingModel:
    """A ChatModel over a callable. An exception of the callable reaches all waiting callers.

    A UserError is tried again prompt by prompt: one that is longer than the engine's context must
    not fail the others. Once some prompt was answered it is that prompt's fault alone.

    name is the model's identity in the cache: other weights need another name.
    """

    def __init__(
        self, generate: Generate, name: str, max_batch: int = 256, num_batches: int = 1
    ) -> None:
        self.identity: dict[str, Any] = {"model": name}
        self._generate = generate
        self._max_batch = max_batch
        self._waiting: list[tuple[str, asyncio.Future[str]]] = []
        self._num_batches = num_batches
        self._runners: set[asyncio.Task[None]] = set()
        self._ever_answered = False
        self._threads = ThreadPoolExecutor(num_batches, thread_name_prefix="judge-engine")

    async def ask(self, prompt: str) -> Reply:
        """Return the text generated for a prompt; token counts are estimates."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append((prompt, future))
        if len(self._runners) < self._num_batches:
            runner = asyncio.create_task(self._run())
            self._runners.add(runner)
        text = await future
        return Reply(text, "stop", estimate_tokens(prompt), estimate_tokens(text))

    async def check(self) -> None:
        """Do nothing: the engine is loaded."""

    async def close(self) -> None:
        """Wait for the batches in progress and end the threads."""
        await asyncio.to_thread(self._threads.shutdown, True, cancel_futures=True)

    async def _run(self) -> None:
        """Generate batches while anyone waits."""
        await asyncio.sleep(GATHER_S)
        while self._waiting:
            batch = self._waiting[: self._max_batch]
            del self._waiting[: self._max_batch]
            found = await self._texts_of([prompt for prompt, _ in batch])
            for (_, future), text in zip(batch, found, strict=True):
                if future.done():  # whoever asked may have gone
                    continue
                if isinstance(text, Exception):
                    future.set_exception(text)
                else:
                    future.set_result(text)
        own = asyncio.current_task()
        assert own is not None
        self._runners.discard(own)

    async def _texts_of(self, prompts: list[str]) -> list[str | Exception]:
        """Return a text for each prompt, or the exception that prevented it."""
        loop = asyncio.get_running_loop()
        try:
            texts = list(await loop.run_in_executor(self._threads, self._generate, prompts))
            if len(texts) != len(prompts):
                raise ValueError(f"generate gave {len(texts)} texts for {len(prompts)} prompts")
        except UserError as error:
            if len(prompts) > 1:
                return [(await self._texts_of([prompt]))[0] for prompt in prompts]
            refused = NoReplyError("refused", str(error), again=False)
            return [refused if self._ever_answered else error]
        except Exception as error:  # handed to those who wait
            return [error for _ in prompts]
        self._ever_answered = True
        return [*texts]


def engine_generate(
    engine: Engine, renderer: PromptRenderer, sampling: SamplingSettings, seed: int = 0
) -> Generate:
    """Return a callable that samples one text per prompt from an engine.

    The engine is called from the judge's threads: one by itself must not be in use elsewhere
    meanwhile, nor have several batches.
    """

    def generate(prompts: Sequence[str]) -> list[str]:
        requests = [
            GroupRequest(str(i), renderer.encode(prompt), (sample_seed(seed, "judge", prompt),))
            for i, prompt in enumerate(prompts)
        ]
        finished = {
            group.request.id: group.completions[0].text
            for group in engine.generate(requests, sampling)
        }
        return [finished[request.id] for request in requests]

    return generate
