"""The code reward: the answer is a program, judged by tests (§2.2.2).

Eight languages (those of HumanEval-Mul), two kinds of test: standard input and output, and calls of
a function; `r1.rewards.code.problem` describes their form. The program runs in `r1.sandbox`;
expected results stay on this side and are compared here, so that nothing the program reads,
patches, prints or omits can turn a wrong result into a pass.

A program that does not compile (within the compiler's processor time), crashes, exceeds a limit,
sleeps, fills the time of all tests or breaks a checker is WRONG. A sandbox that fails, and a
checker or test program that does so by itself, is VERIFIER_FAILED. If a busy machine kept a
compiler or a program waiting until its wall clock ran out, the outcome is TIMED_OUT, which counts
neither for nor against the answer.

Not covered: a program that computes the right results for the tested inputs alone (a table) is
rewarded like any other that passes; only unseen tests tell them apart. Tests of one function run in
one process, so an earlier call may leave something behind for a later one.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import cache

from r1.errors import UserError
from r1.rewards.code import calls
from r1.rewards.code.functions import call_verdicts, program_verdicts
from r1.rewards.code.in_class import in_class, without_imports
from r1.rewards.code.packages import lacked_package
from r1.rewards.code.problem import CodeTask, TaskError, read_task
from r1.rewards.code.reading import MAX_CHARS, extract_code
from r1.rewards.code.run import (
    MAX_SLOW,
    Clock,
    CodeAttempt,
    OutOfTimeError,
    SandboxError,
    TestVerdict,
    TotalTimeError,
    compile_error,
    stdio_verdicts,
)
from r1.rewards.code.settings import CodeSettings
from r1.rewards.reading import after_thinking
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.sandbox import Limits, Program, SandboxSettings
from r1.sandbox.probe import exposed_project
from r1.types import Outcome, Problem, Score

NUM_GOLD_RUN = 8
"""Gold programs run while data are loaded, per language: enough to find a systematic fault."""
_SLACK_S = 15.0
_SHOWN_FAILURES = 3


def score_code(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Run the program in an answer against its problem's tests."""
    task = read_task(problem)
    if len(answer) > MAX_CHARS:
        return Score(0.0, Outcome.WRONG, "the answer is too long")
    code = extract_code(answer, task.language)
    if code is None:
        return Score(0.0, Outcome.UNPARSEABLE, f"no {task.language} program in the answer")
    share = settings.code.credit == "share"
    try:
        verdicts = judge(task, code, settings.code, stop_early=not share)
    except OutOfTimeError as error:
        return Score(0.0, Outcome.TIMED_OUT, str(error))
    except SandboxError as error:
        return Score(0.0, Outcome.VERIFIER_FAILED, str(error))
    return to_score(verdicts, task.num_tests, share)


def judge(
    task: CodeTask, answer: str, settings: CodeSettings, stop_early: bool
) -> list[TestVerdict]:
    """Build an answer and run its tests; stop_early ends at the first failure.

    Fewer verdicts than tests: the others were not tried. Raises SandboxError and OutOfTimeError
    where there is no verdict, UserError where this machine cannot run the language.
    """
    answer = without_imports(answer, task.stood_in_for)
    answer = in_class(answer, calls.split_entry(task.entry)[1], task.in_class)
    source = task.before + answer + "\n" + task.after
    if task.kind != "stdio":
        source = calls.harness_source(task, answer)
    program = Program.build(task.language, source, settings.sandbox)
    if error := compile_error(program):
        return [TestVerdict(1, False, f"does not compile: {error}")]
    clock = Clock(task.total_s or settings.total_s)
    attempt = CodeAttempt(task, answer, program, settings, clock)
    done: list[TestVerdict] = []
    try:
        for verdict in _VERDICTS[task.kind](attempt):
            if not verdict.passed and task.language == "python":
                lacked = lacked_package(answer, verdict.note, settings.sandbox)
                verdict = verdict._replace(note=f"{verdict.note}{lacked}")
            done.append(verdict)
            too_slow = sum(verdict.slow for verdict in done) >= MAX_SLOW
            if too_slow or (stop_early and not verdict.passed):
                break
    except TotalTimeError as error:
        done.append(TestVerdict(len(done) + 1, False, str(error), slow=True))
    return done


_VERDICTS: dict[str, Callable[[CodeAttempt], Iterator[TestVerdict]]] = {
    "stdio": stdio_verdicts,
    "calls": call_verdicts,
    "program": program_verdicts,
}


def to_score(verdicts: list[TestVerdict], num_tests: int, share: bool) -> Score:
    """Return all or nothing, or the share of tests passed; the detail names the first failures."""
    num_passed = sum(verdict.passed for verdict in verdicts)
    counted = f"{num_passed}/{num_tests} tests"
    if num_passed == num_tests:
        return Score(1.0, Outcome.CORRECT, counted)
    failed = (verdict for verdict in verdicts if not verdict.passed)
    notes = [f"test {v.number}: {v.note}" for v in itertools.islice(failed, _SHOWN_FAILURES)]
    if len(verdicts) < num_tests:
        notes.append(f"{num_tests - len(verdicts)} not tried")
    value = num_passed / num_tests if share else 0.0
    return Score(value, Outcome.WRONG, "; ".join([counted, *notes]))


def code_reward(
    text: str, problem: Problem | dict[str, object], settings: RewardSettings | None = None
) -> Score:
    """Judge the program in a text outside any pool, for scripts and other trainers.

    problem: a Problem, or its metadata, such as {"language": "python", "tests": [{"input": "1 2",
    "output": "3"}]}. The last fenced block after the thinking is the program, else all that follows
    the thinking.
    Raises UserError for metadata that make no task and where the machine lacks what is needed.
    """
    if isinstance(problem, dict):
        problem = Problem("code", "", None, "code", metadata=problem)
    try:
        read_task(problem)
    except TaskError as error:
        # A library's caller gives tests and entry as arguments, not as a problem's metadata.
        raise UserError(str(error).replace("metadata.", "")) from None
    answer = after_thinking(text, opened=False)
    if answer is None:
        return Score(0.0, Outcome.UNPARSEABLE, "the thinking never ends")
    return score_code(problem, answer, settings or RewardSettings())


def check_code(problem: Problem) -> str | None:
    """Check that the metadata form a task."""
    try:
        read_task(problem)
    except TaskError as error:
        return str(error)
    return None


_gold_run: dict[str, int] = {}


def check_machine(problem: Problem, settings: RewardSettings) -> str | None:
    """Check that the languages run here and that the first gold programs of each language pass."""
    task = read_task(problem)
    _warn_of_sight(settings.code.sandbox)
    for language in {task.language, *([task.checker.language] if task.checker else [])}:
        if reason := _why_not(language, settings.code.sandbox):
            return reason
    if problem.reference is None or _gold_run.get(task.language, 0) >= NUM_GOLD_RUN:
        return None
    _gold_run[task.language] = _gold_run.get(task.language, 0) + 1
    return check_gold(problem, settings)


def check_gold(problem: Problem, settings: RewardSettings) -> str | None:
    """Return why the problem's own program fails, or None if it passes or there is none."""
    if problem.reference is None:
        return None
    score = score_code(problem, problem.reference, settings)
    return None if score.outcome is Outcome.CORRECT else f"the reference fails: {score.detail}"


@cache
def _warn_of_sight(sandbox: SandboxSettings) -> None:
    if exposed := exposed_project(sandbox):
        warnings.warn(exposed, stacklevel=2)


_HELLO = {
    "python": "print(1)",
    "java": "public class Main { public static void main(String[] a) { System.out.print(1); } }",
    "cpp": '#include <cstdio>\nint main() { std::puts("1"); }',
    "csharp": "class P { static void Main() { System.Console.Write(1); } }",
    "javascript": "console.log(1)",
    "typescript": "console.log(1 as number)",
    "php": "<?php echo 1;",
    "bash": "echo 1",
}


_HELLO_LIMITS = Limits(wall_s=30.0, cpu_s=10.0)


def _why_not(language: str, sandbox: SandboxSettings) -> str | None:
    """Return why this machine cannot run programs of a language, or None.

    A machine too busy to tell is asked again with the next problem: neither is remembered.
    """
    try:
        return _fault_of(language, sandbox)
    except OutOfTimeError:
        return None
    except SandboxError as error:
        return f"a trivial {language} program cannot be run: {error}"


@cache
def _fault_of(language: str, sandbox: SandboxSettings) -> str | None:
    """As _why_not; raises OutOfTimeError and SandboxError where that is not known."""
    try:
        program = Program.build(language, _HELLO[language], sandbox)
    except UserError as error:
        return str(error)
    if fault := compile_error(program):
        return f"a trivial {language} program does not compile: {fault}"
    result = Clock(2 * _HELLO_LIMITS.wall_s).run(program, _HELLO_LIMITS)
    if result.status == "ok" and result.stdout.strip() == "1":
        return None
    return f"a trivial {language} program fails: {result.status} {result.stderr[-200:]}"


def time_limit_s(problem: Problem, settings: RewardSettings) -> float:
    """Return the pool's wall clock for one response: two compilations, all tests, slack."""
    own = problem.metadata.get("total_s")
    total_s = own if isinstance(own, (int, float)) else settings.code.total_s
    return total_s + 2 * settings.code.sandbox.compile_wall_s + _SLACK_S


def equal_code(a: str, b: str) -> bool:
    """Whether two programs are equal apart from white space at line ends and blank lines."""
    return _lines(a) == _lines(b)


def _lines(code: str) -> list[str]:
    return [line.rstrip() for line in code.splitlines() if line.strip()]


def _warm() -> None:
    import r1.sandbox  # noqa: F401


register_verifier(
    "code",
    Verifier(
        score_code,
        check_code,
        equal_code,
        _warm,
        boxes=False,
        check_machine=check_machine,
        time_limit_s=time_limit_s,
        reads=(
            "language",
            "test_program",
            "entry",
            "order",
            "tolerance",
            "compare",
            "case",
            "before",
            "after",
            "in_class",
            "stood_in_for",
            "time_limit_s",
            "total_s",
            "memory_mb",
            "calls_per_run",
        ),
        reads_json=("tests", "checker"),
        needs_reference=False,
    ),
)
