"""A background thread with an event loop, in which a Payer waits for the network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from r1.judge.lookup import LookupLoop
from r1.judge.payer import ClosedError, Payer

T = TypeVar("T")
CLOSE_GRACE_S = 5.0
"""How long close() waits for replies under way, so that what is paid for is kept."""
POLL_S = 0.02


class AskingThread:
    """Runs coroutines for callers in any thread. release: frees what they used, at the end."""

    def __init__(self, name: str, payer: Payer, release: Callable[[], Awaitable[None]]) -> None:
        self.closed = False
        self._payer, self._release = payer, release
        self._loop = LookupLoop()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a coroutine. Raises ClosedError after close()."""
        with self._lock:
            if self.closed:
                coroutine.close()
                raise ClosedError("the endpoint's connection is closed")
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        """Stop asking, wait briefly for replies in flight, release, and end the thread.

        Futures without a result are cancelled. May be called twice.
        """
        with self._lock:
            if self.closed:
                return
            self.closed = True
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _stop(self) -> None:
        try:
            self._payer.stopping = True
            deadline = self._loop.time() + CLOSE_GRACE_S
            while self._payer.num_under_way and self._loop.time() < deadline:
                await asyncio.sleep(POLL_S)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._release()
        finally:
            self._loop.stop()
