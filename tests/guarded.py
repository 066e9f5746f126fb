"""Run jobs one after the other in a child process with limits; whatever they do, all are answered.

A child serves many jobs, since a fork after torch's import costs more than most of them. One that
hangs, eats its memory or dies takes no other with it: the next child goes on behind it.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Iterator
from itertools import count, takewhile
from pathlib import Path

from r1.errors import UserError

CPU_S, HANG_S, MEMORY_BYTES = 120, 600, 3 << 30
"""A job's processor time and its time in all, many times what the slowest takes, for processors
differ and may be busy; what a child may add to its address space."""

FINE, REFUSED = "fine", "UserError: "
_HEAD = struct.Struct("<II")


def run_guarded(
    job: Callable[[int], object], more: Callable[[int], bool], cpu_s: float = CPU_S
) -> Iterator[tuple[int, str]]:
    """Yield (number, outcome) of job(0), job(1), ... as long as `more` holds for the number.

    An outcome is FINE, REFUSED with the message, "TRACEBACK ..." or "DIED ...".
    """
    begin = 0
    while more(begin):
        receiving, sending = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(receiving)
            _serve(job, takewhile(more, count(begin)), cpu_s, sending)
        os.close(sending)
        with os.fdopen(receiving, "rb") as pipe:
            for number, outcome in _answers(pipe):
                yield number, outcome
                begin = number + 1
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            return
        yield begin, f"DIED {signal.Signals(-status).name if status < 0 else status}"
        begin += 1


def _answers(pipe) -> Iterator[tuple[int, str]]:
    while len(head := pipe.read(_HEAD.size)) == _HEAD.size:
        number, length = _HEAD.unpack(head)
        yield number, pipe.read(length).decode()


def _serve(
    job: Callable[[int], object], numbers: Iterator[int], cpu_s: float, sending: int
) -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # the parent's OpenMP threads did not come along
    limit = _address_space() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        signal.alarm(HANG_S)
        outcome = _outcome(job, number).encode("utf-8", "replace")[:4000]
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        message = _HEAD.pack(number, len(outcome)) + outcome
        while message:
            message = message[os.write(sending, message) :]
    os._exit(0)


def _outcome(job: Callable[[int], object], number: int) -> str:
    try:
        job(number)
    except UserError as error:
        return f"{REFUSED}{error}"
    except BaseException as error:  # pytest.fail and SystemExit too are no answer of a reader
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/src/r1/" in frame.filename] or frames
        return f"TRACEBACK {error!r:.300} at {own[-1].filename}:{own[-1].lineno}"
    return FINE


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
