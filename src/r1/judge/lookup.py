"""An event loop that does not wait for name lookups when it closes.

asyncio looks names up in the threads of its default executor, and a program waits for them at its
end: if a name server does not answer, that takes a minute after the error message. Here lookups run
in daemon threads, one per name.

    run_to_end(coroutine)       as asyncio.run, also where a loop runs already, as in a notebook
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
Key = tuple[Any, Any, int, int, int, int]


class LookupLoop(asyncio.SelectorEventLoop):
    """An event loop that, when closed during a name lookup, abandons the lookup."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[Key, asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """As asyncio's; simultaneous calls with the same arguments share one lookup."""
        key = (host, port, family, type, proto, flags)
        found = self._lookups.get(key)
        if found is None:
            found = self._lookups[key] = self.create_future()
            Thread(target=self._look, args=(key, found), name="lookup", daemon=True).start()
        return await asyncio.shield(found)

    def _look(self, key: Key, found: asyncio.Future[Any]) -> None:
        try:
            tell: Callable[[Any], None] = found.set_result
            value: Any = socket.getaddrinfo(*key)
        except (OSError, UnicodeError) as error:
            tell, value = found.set_exception, error
        with suppress(RuntimeError):  # the loop is closed
            self.call_soon_threadsafe(self._tell, key, found, tell, value)

    def _tell(
        self, key: Key, found: asyncio.Future[Any], tell: Callable[[Any], None], value: Any
    ) -> None:
        del self._lookups[key]
        tell(value)
        found.exception()  # told, or asyncio complains where all who waited have given up


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a LookupLoop of its own and return its result.

    A thread that already runs a loop cannot run a second one, so there it has another thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=LookupLoop) as runner:
            return runner.run(coroutine)
    done: Future[T] = Future()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=LookupLoop) as runner:
                done.set_result(runner.run(coroutine))
        except BaseException as error:  # the waiting thread's to handle
            done.set_exception(error)

    # A daemon: whoever is stopped by Ctrl-C while waiting is not kept by it.
    Thread(target=run, name="asking", daemon=True).start()
    return done.result()
