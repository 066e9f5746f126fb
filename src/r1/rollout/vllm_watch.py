"""Prevent endless waits for a vLLM that has died.

vLLM 0.32's synchronous client notices the death of its engine process, but callers that wait for
outputs or for the answer to a call wait for ever. A thread here wakes them.

Left out on purpose: an engine that is alive and makes no progress.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from r1.rollout.protocol import EngineDiedError

_AGAIN_S = 0.2


@contextmanager
def deaths_named() -> Iterator[None]:
    """Turn vLLM's EngineDeadError into the project's EngineDiedError."""
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except EngineDeadError as error:
        raise _died() from error


def watch(client: Any) -> threading.Event:
    """Watch a vLLM SyncMPClient's processes; set the returned event before closing the client."""
    closing = threading.Event()
    processes = list(client.resources.engine_manager.processes)
    arguments = (weakref.ref(client), processes, closing)
    threading.Thread(target=_watch, args=arguments, daemon=True, name="vllm-watch").start()
    return closing


def _watch(reference: weakref.ref[Any], processes: list[Any], closing: threading.Event) -> None:
    wait([process.sentinel for process in processes])
    while not closing.wait(_AGAIN_S):  # a wait may begin after the death was noticed
        client = reference()
        if client is None:
            return
        release(client)
        del client


def release(client: Any) -> None:
    """Wake all callers that wait for a SyncMPClient whose process is gone."""
    for future in list(client.utility_results.values()):
        if not future.done():
            future.set_exception(_died())
    if client.outputs_queue.empty():
        client.outputs_queue.put(_died())


def _died() -> EngineDiedError:
    return EngineDiedError(
        "vLLM's engine process has died; its last output gives the reason (mostly memory). The "
        "same command carries on from the newest checkpoint"
    )
