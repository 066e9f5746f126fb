"""The worker process: scores the pool's items one after the other, and can be killed.

Run by `r1.rewards.pool` as `python -m r1.rewards.worker`; speaks length-prefixed messages over an
inherited socket: pickled jobs in (from its own parent), JSON out. Before each item it writes the
item's number and start time into memory shared with the parent, so that the parent can enforce the
wall clock and knows the item at fault, without extra messages.

It dies with its parent, however that ended (PR_SET_PDEATHSIG on Linux, end of file elsewhere).
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import pickle
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from r1.errors import UserError
from r1.rewards.names import import_rewards
from r1.rewards.registry import find_verifier, make_reward
from r1.rewards.wire import IDLE, PREPARING, PROGRESS, Job, Setup, receive, send
from r1.types import Outcome, Score

FLUSH_S = 0.05
NICENESS = 5
MAX_DETAIL = 300
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve jobs until the parent closes the socket."""
    socket_fd, progress_fd, parent = (int(word) for word in sys.argv[1:4])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.nice(NICENESS)
    channel = socket.socket(fileno=socket_fd)
    progress = mmap.mmap(progress_fd, PROGRESS.size)
    setup: Setup = pickle.loads(receive(channel))
    limit = setup.settings.worker_memory_mb * 2**20
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    # Only the soft limit: the sandbox gives its programs limits of their own, some of them higher
    # (a Java or JavaScript machine reserves gigabytes of addresses).
    soft = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (soft, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    settings, form = setup
    try:
        import_rewards(settings.plugins)
        rewards = {name: make_reward(name, settings, form) for name in settings.names}
    except Exception as error:  # a plugin may raise anything
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        send(channel, json.dumps(f"{kind}{error}").encode())
        return
    send(channel, b"[]")  # ready
    while True:
        try:
            message = receive(channel)
        except EOFError:
            return
        _serve(channel, progress, pickle.loads(message), rewards)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends; exit if the parent has ended."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _serve(channel: socket.socket, progress: mmap.mmap, job: Job, rewards: dict[str, Any]) -> None:
    """Score a job's items; send results after every FLUSH_S seconds and at the end."""
    _report(progress, PREPARING)
    for name in job.verifiers:
        _try(_warm, name)
    done: list[list[Any]] = []
    flushed = time.monotonic()
    for item in job.items:
        _report(progress, item.number)
        score = _try(_score, job, item, rewards)
        done.append([item.number, score.value, str(score.outcome), score.detail[:MAX_DETAIL]])
        if time.monotonic() - flushed > FLUSH_S:
            send(channel, json.dumps(done).encode())
            done, flushed = [], time.monotonic()
    _report(progress, IDLE)
    send(channel, json.dumps(done).encode())
    send(channel, b"null")  # end of the job


def _report(progress: mmap.mmap, number: int) -> None:
    progress[: PROGRESS.size] = PROGRESS.pack(number, time.monotonic())


def _warm(name: str) -> Score:
    find_verifier(name).warm()
    return Score(0.0, Outcome.CORRECT)


def _score(job: Job, item: Any, rewards: dict[str, Any]) -> Score:
    if item.reward is None:  # are two answers the same?
        equal = find_verifier(job.problem.verifier).equal(*item.pair)
        return Score(float(equal), Outcome.CORRECT if equal else Outcome.WRONG)
    score = rewards[item.reward](job.problem, job.completions[item.sample])
    if not math.isfinite(score.value):
        return Score(0.0, Outcome.VERIFIER_FAILED, f"the reward is {score.value}")
    return score


def _try(task: Callable[..., Score], *arguments: Any) -> Score:
    """Run a task; an exception is the verifier's failure, never the model's."""
    try:
        return task(*arguments)
    except MemoryError:
        return Score(0.0, Outcome.VERIFIER_FAILED, "out of memory")
    except Exception as error:  # isolation: a verifier may raise anything
        return Score(0.0, Outcome.VERIFIER_FAILED, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
