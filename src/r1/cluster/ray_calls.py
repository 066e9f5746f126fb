"""Wait for Ray's processes with a limit, and with a message that names the process and the time.

A process that died or did not answer in time raises LostProcess: the caller restarts it, or gives
up after `max_restarts` in a row. An exception of the process itself is passed on unchanged.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from r1.errors import lacks_memory

logger = logging.getLogger("r1.cluster")

KINDS = ("engine", "learner", "reward_server")
"""Processes that the driver starts again."""


class LostProcess(Exception):  # noqa: N818 (an event to act upon, not yet an error)
    """A process died, lost its peers or did not answer in time."""


class ClusterError(RuntimeError):
    """A process was lost more often than allowed; the same command resumes the run."""


class Call(NamedTuple):
    """A call to a process. name: the process's, for messages."""

    name: str
    reference: Any


class Events:
    """Counts of failures and repairs for the metrics, since they were last taken."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def restarted(self, kind: str, why: str) -> None:
        """Count and report the restart of a process (one of KINDS)."""
        self._counts[kind] += 1
        logger.warning("%s; it is started again.", why)

    def take(self) -> dict[str, float]:
        """Return `pool/KIND_restarts` for timings.jsonl."""
        counts, self._counts = self._counts, Counter()
        return {f"pool/{kind}_restarts": float(counts[kind]) for kind in KINDS}


def wait_all(calls: Sequence[Call], timeout_s: float, what: str) -> list[Any]:
    """Wait for every call; return the answers in order.

    what: what they were asked to do ("update the policy"). Raises LostProcess, or what a process
    raised.
    """
    answers: dict[Any, Any] = {}
    pending = {call.reference: call.name for call in calls}
    end = time.monotonic() + timeout_s
    while pending:
        ready, _ = ray.wait(list(pending), timeout=max(0.0, end - time.monotonic()))
        if not ready:
            raise LostProcess(late(sorted(pending.values()), timeout_s, what))
        for reference in ready:
            answers[reference] = answer(Call(pending.pop(reference), reference), what)
    return [answers[call.reference] for call in calls]


def answer(call: Call, what: str, timeout_s: float | None = None) -> Any:
    """Return the answer of a call that has ended or ends within timeout_s.

    Raises LostProcess, or what the process raised. A RuntimeError is taken for a lost peer: that is
    what collectives raise on the other ranks when one dies, and an engine whose own process did;
    but not a GPU or a machine whose memory is full. So is a TimeoutError, as somebody below it
    waited in vain, and a RayError: what the process was given went with a lost node.
    """
    try:
        return ray.get(call.reference, timeout=timeout_s)
    except RayTaskError as error:
        if isinstance(error.cause, RayError):
            raise LostProcess(
                f"{call.name} could not {what}: {_first_line(error.cause)}"
            ) from error
        full = lacks_memory(error.cause)  # again would be full again
        if isinstance(error.cause, RuntimeError | TimeoutError) and not full:
            raise LostProcess(f"{call.name} could not {what}: {error.cause}") from error
        raise error.cause from error
    except GetTimeoutError:
        raise LostProcess(late([call.name], timeout_s or 0.0, what)) from None
    except RayError as error:
        why = _first_line(error)
        raise LostProcess(f"{call.name} died while it was to {what} ({why})") from error


def _first_line(error: RayError) -> str:
    """Return the first line: Ray's advice on its own settings follows in later lines."""
    return str(error).splitlines()[0]


def late(names: Sequence[str], timeout_s: float, what: str) -> str:
    """Return the message for a wait that was too long."""
    return f"the driver waited {timeout_s:g} s for {' and '.join(names)} to {what}, in vain"


def give_up(lost: LostProcess, restarts: int) -> ClusterError:
    """Return the error after the last restart."""
    return ClusterError(
        f"{lost}. It was started again {restarts} times in a row without success; see the logs "
        "under /tmp/ray/session_latest/logs. The same command carries the run on."
    )
