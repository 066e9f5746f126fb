"""A command and its rlimits, before the isolation is chosen."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from r1.errors import UserError
from r1.sandbox.result import Limits

PROGRAM_FOLDER = "/program"
WORK_FOLDER = "/tmp"
_CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class Command:
    """One run, ready to be isolated.

    Attributes:
        argv: the program and its arguments; the first is an absolute path.
        limits: what it may use.
        program_files: path below the program's folder -> content, read-only for the program.
        work_files: path below the working folder -> content.
        overhead_mb, reserve_mb, threads, stack_mb: see `languages.Language`.
        stdout_kb: of standard output, where it differs from the limits' output_kb.
        cuts_stderr: whether standard error beyond the limit is dropped rather than punished.
    """

    argv: tuple[str, ...]
    limits: Limits
    stdin: bytes = b""
    program_files: Mapping[str, bytes] = field(default_factory=dict)
    work_files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    etc: tuple[str, ...] = ()
    overhead_mb: int = 16
    reserve_mb: int = 64
    threads: int = 0
    stack_mb: int = 64
    stdout_kb: int | None = None
    cuts_stderr: bool = False

    @property
    def memory_mb(self) -> int:
        """Return the memory limit of all its processes together."""
        return self.limits.memory_mb + self.overhead_mb

    @property
    def processes(self) -> int:
        return self.limits.processes + self.threads


def check_file_name(name: str) -> str:
    """Return name if it stays below its folder; UserError otherwise."""
    path = PurePosixPath(name)
    is_plain = path.parts and not path.is_absolute() and ".." not in path.parts
    if not is_plain or "\0" in name or str(path) != name:
        raise UserError(f"{name!r} cannot be a program's file: give a plain relative path.")
    return name


def kernel_cpu_limit_s(limits: Limits) -> int:
    """Return the processor seconds at which the kernel ends a process (it counts whole ones).

    A second beyond what the supervisor allows all processes together: it stands behind that. Where
    no limit is asked for, more than the wall clock allows on every core.
    """
    if limits.cpu_s is None:
        return math.ceil(limits.wall_s * (os.cpu_count() or 1)) + 1
    return math.ceil(limits.cpu_s) + 1


def rlimits(command: Command) -> dict[str, int]:
    """Map names of the `resource` module to hard limits.

    The soft ones are the same but for processor time: its signal SIGXCPU tells why a program ended,
    which the hard limit's SIGKILL, for those that ignore the signal, does not.
    """
    limits = command.limits
    mebibyte = 2**20
    wanted = {
        "RLIMIT_AS": (command.memory_mb + command.reserve_mb) * mebibyte,
        "RLIMIT_CPU": kernel_cpu_limit_s(limits) + 1,
        "RLIMIT_NPROC": command.processes + 1,
        "RLIMIT_FSIZE": limits.file_mb * mebibyte,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_STACK": command.stack_mb * mebibyte,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 64 * 1024,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_SIGPENDING": 1024,
        "RLIMIT_NICE": 0,
        "RLIMIT_RTPRIO": 0,
    }
    if _may_lift_limits():
        return wanted
    return {name: min(value, _hard_limit(name)) for name, value in wanted.items()}


def _hard_limit(name: str) -> int:
    hard = resource.getrlimit(getattr(resource, name))[1]
    return 2**63 - 1 if hard == resource.RLIM_INFINITY else hard


@cache
def _may_lift_limits() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which root in a container often lacks."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
    return bool(int(effective, 16) & 1 << _CAP_SYS_RESOURCE)


_SET_LIMITS = """import os, resource, sys
mark = sys.argv.index("--")
for word in sys.argv[1:mark]:
    name, _, values = word.strip("-").partition("=")
    number = getattr(resource, "RLIMIT_" + name.upper())
    resource.setrlimit(number, tuple(map(int, values.split(":"))))
os.execv(sys.argv[mark + 1], sys.argv[mark + 1:])
"""
"""Does what prlimit does, where there is none."""


def with_rlimits(command: Command, prlimit: str | None, python: str | None) -> list[str]:
    """Return the command's words behind the tool that sets its limits and executes it.

    prlimit starts ten times faster than a Python that does the same.
    """
    hard = rlimits(command)
    soft = {**hard, "RLIMIT_CPU": min(kernel_cpu_limit_s(command.limits), hard["RLIMIT_CPU"])}
    words = [f"--{name.removeprefix('RLIMIT_').lower()}={soft[name]}:{hard[name]}" for name in hard]
    if prlimit is not None:
        return [prlimit, *words, *command.argv]
    if python is None:
        raise UserError("the sandbox needs prlimit or python3 to set limits, and finds neither.")
    return [python, "-I", "-S", "-c", _SET_LIMITS, *words, "--", *command.argv]
