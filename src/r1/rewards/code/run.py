"""Run untrusted programs within one response's limits; judge standard input and output.

Limits apply to processor time; the wall clock is for programs that sleep. A run that fails because
the sandbox failed, or because a busy machine kept it waiting, gives no verdict on the answer.
Failures that the answer causes do: the answer is wrong if its own work and sleep use up the time of
all tests, or if a checker that works on the reference output fails on the answer's output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from r1.rewards.code import compare
from r1.rewards.code.problem import Checker, CodeTask, StdioTest
from r1.rewards.code.settings import CodeSettings
from r1.sandbox import Limits, Program, RunResult, SandboxSettings, Status

MAX_SLOW = 3
"""After this many tests over the time limit the others are not tried: they count as failed."""
OUTPUT_KB = 1024
"""Output of one run that is read; a longer answer than the expected one is wrong anyway."""
CHECKER_LIMITS = Limits(wall_s=12.0, cpu_s=5.0, output_kb=64)
OWN_SHARE = 0.8
"""Of the time of all tests, work and sleep of programs; the rest is waiting for a processor. Above
it the tests did not end because of the answer, below it because of the machine."""
PATIENCE = 4.0
"""Times its wall clock that a run may take which a busy machine keeps waiting: an endless loop must
be found wrong there too, or a policy could leave its group by one."""
_NO_VERDICT = (Status.SANDBOX_FAILED, Status.STARVED)
_SHOWN = 60


class SandboxError(RuntimeError):
    """The sandbox, a checker or a test program failed: no verdict."""


class OutOfTimeError(RuntimeError):
    """The wall clock ran out while the program waited for a processor: there is no verdict."""


class TotalTimeError(RuntimeError):
    """The answer's own work and sleep used up the time of all tests: the answer is wrong."""


class TestVerdict(NamedTuple):
    """The result of one test, numbered from 1. note: why it failed; slow: whether by a time
    limit."""

    number: int
    passed: bool
    note: str = ""
    slow: bool = False


class Clock:
    """Keep all tests of one response within `total_s` seconds of wall clock."""

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._ends = time.monotonic() + total_s
        self._own_s = 0.0

    def run(self, program: Program, limits: Limits, **given: Any) -> RunResult:
        """Run program.run within the time left.

        Raises SandboxError and OutOfTimeError where there is no verdict, TotalTimeError where all
        time is gone and the programs have used it.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self._out_of_time("no time was left for the next test")
        longest_s = PATIENCE * limits.wall_s
        is_cut = left < longest_s
        granted = replace(
            limits, wall_s=min(left, limits.wall_s), starved_wall_s=min(left, longest_s)
        )
        result = program.run(limits=granted, **given)
        if result.status is Status.SANDBOX_FAILED:
            raise SandboxError(f"the sandbox failed: {result.stderr[-200:]}")
        self._own_s += min(result.cpu_s + result.asleep_s, result.wall_s)
        if result.status is Status.STARVED:
            said = f"a busy machine: {shown_use(result)}"
            raise self._out_of_time(said) if is_cut else OutOfTimeError(said)
        return result

    def _out_of_time(self, said: str) -> Exception:
        if 0 < OWN_SHARE * self._total_s <= self._own_s:
            used = f"{self._own_s:.1f} s of work and sleep"
            return TotalTimeError(f"time-limit: all tests may take {self._total_s:g} s, not {used}")
        return OutOfTimeError(said)


@dataclass(frozen=True)
class CodeAttempt:
    """One answer being judged: its task, its text, the program built from it, its time."""

    task: CodeTask
    answer: str
    program: Program
    settings: CodeSettings
    clock: Clock

    def run(self, stdin: str, expected_chars: int = 0) -> RunResult:
        """Run the answer once; expected_chars makes room for an output of that length."""
        seconds = self.task.time_limit_s or self.settings.time_limit_s
        limits = Limits(
            wall_s=3 * seconds + 4,
            cpu_s=seconds,
            memory_mb=self.task.memory_mb or self.settings.memory_mb,
            output_kb=max(OUTPUT_KB, 2 + 4 * expected_chars // 1024),
        )
        return self.clock.run(self.program, limits, stdin=stdin)


def built(language: str, source: str, sandbox: SandboxSettings) -> Program:
    """Build a program of the problem (a checker, tests); cached, as many answers share it."""
    program = _built(language, source, sandbox)
    if program.compile_result is not None and program.compile_result.status in _NO_VERDICT:
        _built.cache_clear()  # or one busy moment would void every later answer
    return program


@lru_cache(maxsize=16)
def _built(language: str, source: str, sandbox: SandboxSettings) -> Program:
    return Program.build(language, source, sandbox)


def compile_error(program: Program) -> str:
    """Return why a program does not compile, or "". Raises SandboxError or OutOfTimeError."""
    result = program.compile_result
    if result is None or result.status is Status.OK:
        return ""
    if result.status is Status.SANDBOX_FAILED:
        raise SandboxError(f"the compiler's sandbox failed: {result.stderr[-200:]}")
    if result.status is Status.STARVED:
        raise OutOfTimeError(f"the compiler was not done on a busy machine: {shown_use(result)}")
    if result.status is Status.TIME_LIMIT:
        return f"the compiler was not done: {shown_use(result)}"
    lines = result.stderr.splitlines()
    return shown(next((line for line in lines if "error" in line), result.status.value))


def stdio_verdicts(attempt: CodeAttempt) -> Iterator[TestVerdict]:
    """Run one process per input and compare its output."""
    for number, test in enumerate(attempt.task.stdio, 1):
        result = attempt.run(test.input, len(test.output))
        note = _judge_output(attempt, test, result)
        yield TestVerdict(number, not note, note, is_slow(result))


def _judge_output(attempt: CodeAttempt, test: StdioTest, result: RunResult) -> str:
    """Return why a run fails its test, or ""."""
    task = attempt.task
    if result.status is not Status.OK:
        return failure(result)
    if task.checker is not None:
        accepted = _ask_checker(task.checker, test, result.stdout, attempt)
        return "" if accepted else f"the checker refuses {shown(result.stdout)}"
    if compare.same_text(result.stdout, test.output, task.tolerance, task.compare, task.case):
        return ""
    return f"printed {shown(result.stdout)}, expected {shown(test.output)}"


def _ask_checker(checker: Checker, test: StdioTest, printed: str, attempt: CodeAttempt) -> bool:
    """Ask the problem's own checker for a verdict.

    One that breaks is asked about the reference output too: where it can judge that, what was
    printed broke it and is refused. Otherwise the checker itself is at fault, and SandboxError says
    so.
    """
    result = _run_checker(checker, test, printed, attempt)
    if (accepts := _checkers_word(result)) is not None:
        return accepts
    if _checkers_word(_run_checker(checker, test, test.output, attempt)) is not None:
        return False
    raise SandboxError(f"the checker failed ({failure(result)})")


def _run_checker(
    checker: Checker, test: StdioTest, printed: str, attempt: CodeAttempt
) -> RunResult:
    """Run a checker on an output, in its own sandbox with space for its files."""
    program = built(checker.language, checker.source, attempt.settings.sandbox)
    if error := compile_error(program):
        raise SandboxError(f"the checker does not compile: {error}")
    files = {"input.txt": test.input, "output.txt": printed, "reference.txt": test.output}
    size_mb = sum(len(text.encode("utf-8", "replace")) for text in files.values()) / 2**20
    file_mb = CHECKER_LIMITS.file_mb + math.ceil(size_mb)
    memory_mb = CHECKER_LIMITS.memory_mb + math.ceil(size_mb)
    limits = replace(CHECKER_LIMITS, file_mb=file_mb, memory_mb=memory_mb)
    return attempt.clock.run(program, limits, args=tuple(files), files=files)


def _checkers_word(result: RunResult) -> bool | None:
    """Whether a checker accepts; None if the checker failed.

    Its exit code alone counts: what it says on standard error may quote the output, words about
    memory too.
    """
    if result.status is Status.OK:
        return True
    refuses = result.status in (Status.RUNTIME_ERROR, Status.MEMORY_LIMIT)
    return False if refuses and result.exit_code in (1, 2) else None


def is_slow(result: RunResult) -> bool:
    """Whether a run used more time than allowed, computing or sleeping."""
    return result.status is Status.TIME_LIMIT


def shown_use(result: RunResult) -> str:
    """Return how much processor time a run got of its wall clock, for people."""
    return f"{result.cpu_s:.1f} s of processor time in {result.wall_s:.1f} s"


def failure(result: RunResult) -> str:
    """Describe a failed run in a few words, beginning with its status."""
    last = result.stderr.strip().splitlines()[-1:] or [""]
    code = "" if result.exit_code is None else f" (exit code {result.exit_code})"
    return f"{result.status.value}{code} {shown(last[0]) if last[0] else ''}".strip()


def shown(text: str) -> str:
    """Return the beginning of a text, quoted, on one line."""
    text = " ".join(text[: 4 * _SHOWN].split())
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
