"""Turn a supervisor's observation into a verdict. Pure."""

from __future__ import annotations

import json
import re
import signal

from r1.sandbox.command import Command, kernel_cpu_limit_s
from r1.sandbox.launch import Observation
from r1.sandbox.result import RunResult, Status

_OUT_OF_MEMORY = re.compile(
    r"\bMemoryError\b|std::bad_alloc|OutOfMemory|heap out of memory|Allowed memory size of|"
    r"[Cc]annot allocate memory|[Oo]ut of memory|xrealloc: cannot allocate|xmalloc: cannot allocate"
)
"""How the languages say that an allocation failed. It only chooses between two failures."""
_STDERR_TAIL = 4000
_CPU_SHARE = 0.5
"""The kernel ends a process by another count of processor time than the one that it reports: on a
busy virtual machine they differ by a lot. A program that kills itself after half of its time is
told apart from one that was ended for it by nothing, and neither is ever paid."""


def inner_exit_code(seen: Observation) -> int | None:
    """Return the program's exit code as bubblewrap reports it; None if it started no program."""
    for line in reversed(seen.status_text.splitlines()):
        if "exit-code" in line:
            return int(json.loads(line)["exit-code"])
    return None


def judge(command: Command, seen: Observation, is_isolated: bool) -> RunResult:
    """Return the verdict on one run."""
    stderr = seen.stderr.decode("utf-8", "replace")
    code = inner_exit_code(seen) if is_isolated else seen.exit_status
    if code is not None and code < 0:
        code = 128 - code
    status = _status(command, seen, code, stderr)
    return RunResult(
        status=status,
        exit_code=code if seen.ended_by == "exit" else None,
        stdout=seen.stdout.decode("utf-8", "replace"),
        stderr=stderr,
        wall_s=seen.wall_s,
        peak_mb=seen.peak_kb / 1024,
        cpu_s=seen.cpu_s,
        asleep_s=seen.asleep_s,
    )


def _status(command: Command, seen: Observation, code: int | None, stderr: str) -> Status:
    by_limit = {
        "wall": Status.STARVED if _was_starved(command, seen) else Status.TIME_LIMIT,
        "cpu": Status.TIME_LIMIT,
        "output": Status.OUTPUT_LIMIT,
        "memory": Status.MEMORY_LIMIT,
        "caller": Status.SANDBOX_FAILED,
        "lost": Status.SANDBOX_FAILED,
    }
    if seen.ended_by in by_limit:
        return by_limit[seen.ended_by]
    if seen.num_killed_for_memory:  # before the next: the victim may be bubblewrap itself
        return Status.MEMORY_LIMIT
    if code is None:
        return Status.SANDBOX_FAILED
    if _ran_out_of_cpu(command, seen, code):
        return Status.TIME_LIMIT
    if code == 0:
        return Status.OK
    if _OUT_OF_MEMORY.search(stderr[-_STDERR_TAIL:]):
        return Status.MEMORY_LIMIT
    return Status.RUNTIME_ERROR


def _was_starved(command: Command, seen: Observation) -> bool:
    """Whether a run stopped by its wall clock lacked only processor time."""
    cpu_s = command.limits.cpu_s
    return cpu_s is not None and seen.cpu_s + seen.asleep_s < cpu_s


def _ran_out_of_cpu(command: Command, seen: Observation, code: int) -> bool:
    """Whether the kernel or the limit over all processes ended it for processor time."""
    limits = command.limits
    if code == 128 + signal.SIGXCPU:
        return True
    allowed_s = limits.cpu_s or kernel_cpu_limit_s(limits)
    if code == 128 + signal.SIGKILL and seen.cpu_s > _CPU_SHARE * allowed_s:
        return True
    return limits.cpu_s is not None and seen.cpu_s > limits.cpu_s
