"""Runs of untrusted programs within one response's limits; the judge of standard input and output.

Limits are of processor time; the wall clock is there for programs that sleep. A run that fails
because the sandbox failed, or because a busy machine kept it waiting, is never a verdict on the
answer.
"""

from __future__ import annotations

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
CHECKER_LIMITS = Limits(wall_s=12.0, cpu_s=5.0, output_kb=64)
_SHOWN = 60


class SandboxError(RuntimeError):
    """The sandbox, a checker or a test program failed: no verdict."""


class OutOfTimeError(RuntimeError):
    """The wall clock ran out in want of a processor, or with many tests: nobody knows."""


class Verdict(NamedTuple):
    """One test, numbered from 1; note says why it failed, slow that it was a time limit."""

    number: int
    passed: bool
    note: str = ""
    slow: bool = False


class Clock:
    """Keeps all the tests of one response within `total_s` seconds of wall clock."""

    def __init__(self, total_s: float) -> None:
        self._ends = time.monotonic() + total_s

    def run(self, program: Program, limits: Limits, **given: Any) -> RunResult:
        """program.run within what is left; SandboxError and OutOfTimeError where no verdict."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise OutOfTimeError("no time was left for the next test")
        limits = replace(limits, wall_s=min(left, limits.wall_s))
        result = program.run(limits=limits, **given)
        if result.status is Status.SANDBOX_FAILED:
            raise SandboxError(f"the sandbox failed: {result.stderr[-200:]}")
        if result.status is Status.STARVED:
            raise OutOfTimeError(f"a busy machine: {shown_use(result)}")
        return result


@dataclass(frozen=True)
class Attempt:
    """One answer under judgement: its task, its text, the program built from it, its time."""

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
            output_kb=max(self.settings.output_kb, 2 + 4 * expected_chars // 1024),
        )
        return self.clock.run(self.program, limits, stdin=stdin)


@lru_cache(maxsize=16)
def built(language: str, source: str, sandbox: SandboxSettings) -> Program:
    """A program of the problem's own (a checker, tests), which is the same for many answers."""
    return Program.build(language, source, sandbox)


def compile_error(program: Program) -> str:
    """Why a program does not compile, or ""; SandboxError and OutOfTimeError where nobody knows."""
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


def stdio_verdicts(attempt: Attempt) -> Iterator[Verdict]:
    """Feed each input to a process of its own and compare what it prints."""
    for number, test in enumerate(attempt.task.stdio[: attempt.settings.max_tests], 1):
        result = attempt.run(test.input, len(test.output))
        note = _judge_output(attempt, test, result)
        yield Verdict(number, not note, note, is_slow(result))


def _judge_output(attempt: Attempt, test: StdioTest, result: RunResult) -> str:
    """Why a run does not pass its test, or ""."""
    task = attempt.task
    if result.status is not Status.OK:
        return failure(result)
    if task.checker is not None:
        accepted = _ask_checker(task.checker, test, result.stdout, attempt)
        return "" if accepted else f"the checker refuses {shown(result.stdout)}"
    if compare.same_text(result.stdout, test.output, task.tolerance, task.compare, task.case):
        return ""
    return f"printed {shown(result.stdout)}, expected {shown(test.output)}"


def _ask_checker(checker: Checker, test: StdioTest, printed: str, attempt: Attempt) -> bool:
    """Ask the problem's own checker, in a sandbox of its own."""
    program = built(checker.language, checker.source, attempt.settings.sandbox)
    if error := compile_error(program):
        raise SandboxError(f"the checker does not compile: {error}")
    files = {"input.txt": test.input, "output.txt": printed, "reference.txt": test.output}
    result = attempt.clock.run(program, CHECKER_LIMITS, args=tuple(files), files=files)
    if result.status is Status.OK:
        return True
    if result.status is Status.RUNTIME_ERROR and result.exit_code in (1, 2):
        return False
    raise SandboxError(f"the checker failed ({failure(result)})")


def is_slow(result: RunResult) -> bool:
    """Whether a run used more time than it may: a processor's, or slept away."""
    return result.status is Status.TIME_LIMIT


def shown_use(result: RunResult) -> str:
    """How much processor time a run got of its wall clock."""
    return f"{result.cpu_s:.1f} s of processor time in {result.wall_s:.1f} s"


def failure(result: RunResult) -> str:
    """A run that did not end well, in a few words that begin with its status."""
    last = result.stderr.strip().splitlines()[-1:] or [""]
    code = "" if result.exit_code is None else f" (exit code {result.exit_code})"
    return f"{result.status.value}{code} {shown(last[0]) if last[0] else ''}".strip()


def shown(text: str) -> str:
    """The beginning of a text, quoted, in one line."""
    text = " ".join(text[: 4 * _SHOWN].split())
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
