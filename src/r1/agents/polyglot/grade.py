"""Judge a solution by its exercise's tests, in the sandbox.

Passed is a run that ended by itself with exit code 0 and whose last signed line counts the tests
that the example solution passes, none failed. Tests that are skipped do not count. Lines that a
solution prints, its exit code and its files decide nothing.

Not covered, as in the original, where tests and solution share a process too: a solution that
searches its own process for the secret, and (in C++ and Rust) a value that is == to every other.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from r1.agents.polyglot.exercise import LANGUAGES, Exercise
from r1.agents.polyglot.toolchain import TOOLCHAINS
from r1.sandbox import Limits, RunResult, SandboxSettings, Status
from r1.sandbox.toolchains import INSTALL, find_tool, visible
from r1.sandbox.tree import TreeRun, run_tree

WALL_S = 180.0
"""The original's limit of a test run."""
_CPU_S = 120.0
_MAX_OUTPUT = 20_000


class ExerciseVerdict(StrEnum):
    """How a solution's tests ended. Only the first two and TIME judge the solution."""

    PASSED = "passed"
    FAILED = "failed"
    TIME = "out of time"
    NONE = "no verdict"  # the machine's fault: starved, or the sandbox broke


class Graded(NamedTuple):
    """One run of the tests. output: what the model is shown, cut in the middle."""

    verdict: ExerciseVerdict
    passed: int
    output: str


def run_tests(
    exercise: Exercise,
    solution: Mapping[str, str],
    wanted: int | None = None,
    settings: SandboxSettings | None = None,
) -> Graded:
    """Run an exercise's tests on a solution (path -> text).

    wanted: how many tests must pass; None: any number above 0. A run without a verdict is repeated
    once. Never raises because of the solution. Raises UserError where the toolchain is missing.
    """
    run = _run_once(exercise, solution, wanted, settings)
    return (
        run
        if run.verdict is not ExerciseVerdict.NONE
        else _run_once(exercise, solution, wanted, settings)
    )


def _run_once(
    exercise: Exercise,
    solution: Mapping[str, str],
    wanted: int | None,
    settings: SandboxSettings | None,
) -> Graded:
    toolchain = TOOLCHAINS[exercise.language]
    plan = toolchain.plan(exercise, solution)
    secret = secrets.token_hex(16)
    limits = Limits(
        wall_s=WALL_S, cpu_s=_CPU_S, memory_mb=toolchain.memory_mb, processes=64, file_mb=256,
        open_files=512, output_kb=1024,
    )  # fmt: skip
    files = {path: text.encode("utf-8", "replace") for path, text in plan.files.items()}
    result = run_tree(TreeRun(plan.script, files, limits, secret), settings)
    counts = _signed(result.stdout, secret)
    return Graded(_verdict(result, counts, wanted), counts[0], _shown(result, secret))


def _signed(stdout: str, secret: str) -> tuple[int, int]:
    """The tests passed and failed that the last signed line tells; none where there is none."""
    lines = re.findall(rf"^{secret} (\d{{1,6}}) (\d{{1,6}}) \d{{1,6}}$", stdout, re.MULTILINE)
    return (int(lines[-1][0]), int(lines[-1][1])) if lines else (0, 0)


def _verdict(result: RunResult, counts: tuple[int, int], wanted: int | None) -> ExerciseVerdict:
    if result.status in (Status.STARVED, Status.SANDBOX_FAILED):
        return ExerciseVerdict.NONE
    if result.status is Status.TIME_LIMIT:
        return ExerciseVerdict.TIME
    passed, failed = counts
    enough = passed >= max(1, wanted or 1)
    return (
        ExerciseVerdict.PASSED
        if result.status is Status.OK and enough and not failed
        else ExerciseVerdict.FAILED
    )


def _shown(result: RunResult, secret: str) -> str:
    parts = [f"{result.status}\n" if result.status is Status.TIME_LIMIT else "", result.stderr]
    text = "".join([*parts, result.stdout]).replace(secret, "tests")
    half = _MAX_OUTPUT // 2
    return text if len(text) <= _MAX_OUTPUT else f"{text[:half]}\n...\n{text[-half:]}"


def missing_toolchains(
    languages: Sequence[str] = LANGUAGES, settings: SandboxSettings | None = None
) -> dict[str, str]:
    """Language -> what it lacks here, with the remedy; those that can run are not in it."""
    folders = visible((settings or SandboxSettings()).toolchain_folders)
    lacks = {}
    for language in languages:
        if language not in TOOLCHAINS:
            lacks[language] = f"r1 has no runner of {language}'s tests"
            continue
        tools = [name for name in TOOLCHAINS[language].tools if not find_tool(name, folders)]
        if tools:
            lacks[language] = f"needs {tools[0]}: {INSTALL[tools[0]]}"
    return lacks
