"""The limits and the result of a run: the two values that cross the sandbox's border."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a run ended. Only `OK` (exit code 0 within every limit) may earn a reward.

    `TIME_LIMIT` is the program's own doing: it used more processor time than it may, or slept.
    `STARVED` is not: its wall clock ran out while it waited for a processor on a busy machine, and
    with one it would still be within `cpu_s` (so it takes a limit on that). `SANDBOX_FAILED` is no
    verdict on the program either: the isolation itself broke, and a reward counts it as a failure
    of the verifier.
    """

    OK = "ok"
    RUNTIME_ERROR = "runtime-error"
    TIME_LIMIT = "time-limit"
    STARVED = "starved"
    MEMORY_LIMIT = "memory-limit"
    OUTPUT_LIMIT = "output-limit"
    COMPILE_ERROR = "compile-error"
    SANDBOX_FAILED = "sandbox-failed"


@dataclass(frozen=True)
class Limits:
    """The limits of one run.

    Attributes:
        wall_s: seconds on the clock, the start of the isolation (about 15 ms) included.
        starved_wall_s: seconds on the clock for a run that waits for a processor: one that has
            neither used nor slept through its cpu_s at wall_s goes on until it has, or until then.
        cpu_s: processor seconds of all processes together, no limit if None. The supervisor ends
            a run at it; the kernel's own limit of any one process stands a second behind.
        memory_mb: what the program's processes may hold together, files in /tmp included; the
            language's own overhead (a virtual machine) is granted on top.
        processes: processes and threads that exist at once.
        file_mb: size of any one file, and of everything in /tmp together.
        open_files: open files of any one process.
        output_kb: of standard output, and again of standard error.
    """

    wall_s: float = 2.0
    cpu_s: float | None = None
    starved_wall_s: float = 0.0
    memory_mb: int = 512
    processes: int = 32
    file_mb: int = 16
    open_files: int = 64
    output_kb: int = 256


@dataclass(frozen=True)
class RunResult:
    """The result of one run.

    Attributes:
        exit_code: as a shell would show it (128 + the number of a fatal signal); None where the
            program never ran or was stopped by a limit's keeper.
        stdout, stderr: decoded as UTF-8 with replacement, cut at the output limit.
        wall_s: seconds from start to end, the isolation's own included.
        peak_mb: resident memory of the largest process, in MiB.
        cpu_s: processor seconds of all its processes.
        asleep_s: seconds in which none of them ran or waited for a processor, looked at four times
            a second; what is left of wall_s beyond this and cpu_s was waiting for a processor.
    """

    status: Status
    exit_code: int | None
    stdout: str
    stderr: str
    wall_s: float
    peak_mb: float
    cpu_s: float = 0.0
    asleep_s: float = 0.0
