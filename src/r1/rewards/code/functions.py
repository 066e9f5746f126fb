"""Judge answers that are functions: by calls and their results, or by a test program in rounds."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from r1.rewards.code import calls, program, testable
from r1.rewards.code.calls import CallRecord
from r1.rewards.code.run import (
    MAX_SLOW,
    CodeAttempt,
    SandboxError,
    TestVerdict,
    built,
    compile_error,
    failure,
    is_slow,
    shown,
)
from r1.sandbox import Limits, RunResult, Status

TESTER_LIMITS = Limits(wall_s=22.0, cpu_s=10.0, output_kb=8192)


def call_verdicts(attempt: CodeAttempt) -> Iterator[TestVerdict]:
    """Compare what the function returns for each test's arguments."""
    task = attempt.task
    tests = task.calls
    lines = [calls.call_line(task.language, test.args) for test in tests]
    expected_chars = sum(len(repr(test.expected)) for test in tests)
    records = answer_calls(attempt, lines, expected_chars)
    for number, (test, record) in enumerate(zip(tests, records, strict=False), 1):
        passed = calls.same_result(task, record, test.expected)
        returned = f"returned {shown(record.text)}, expected {shown(repr(test.expected))}"
        note = record.failure or (returned if record.ok else f"raised {shown(record.text)}")
        yield TestVerdict(number, passed, "" if passed else note)


def answer_calls(
    attempt: CodeAttempt, lines: list[str], expected_chars: int = 0
) -> Iterator[CallRecord]:
    """Return one record per call, in order; if a process ends at a call, another one continues.

    Fewer records than calls after MAX_SLOW calls over the time limit.
    """
    begin = slow = 0
    while begin < len(lines) and slow < MAX_SLOW:
        left = lines[begin:][: attempt.task.calls_per_run]
        nonce = secrets.token_hex(16)
        stdin = calls.opening_lines(attempt.task, attempt.answer, nonce) + "".join(left)
        result = attempt.run(stdin, expected_chars)
        records = calls.read_records(result.stdout, nonce)
        answered = next((i for i in range(len(left)) if i not in records), len(left))
        if answered == len(left) and result.status is not Status.OK:
            answered -= 1  # it answered everything and then crashed, or would not end
        yield from (records[index] for index in range(answered))
        begin += answered
        if answered < len(left):
            ended = "ended without an answer" if result.status is Status.OK else failure(result)
            yield CallRecord(False, '"RuntimeError: no answer"', ended)
            slow += is_slow(result)
            begin += 1


def program_verdicts(attempt: CodeAttempt) -> Iterator[TestVerdict]:
    """Alternate between the test program's rounds and the answer's calls; return one verdict."""
    task = attempt.task
    try:
        source = program.source_of_tester(task, attempt.answer)
    except program.NoTesterError as error:
        yield TestVerdict(1, False, str(error))
        return
    tester = built(task.language, source, attempt.settings.sandbox)
    if reason := compile_error(tester):
        if task.language not in program.TYPED:  # only there the answer's signature is part of it
            raise SandboxError(f"the test program does not compile: {reason}")
        yield TestVerdict(1, False, f"the tests do not compile with its signature: {reason}")
        return
    known: dict[str, CallRecord] = {}
    classes = program.classes_of(attempt.answer) if task.language == "python" else []
    hangs = testable.hangs_on_results(task.language, task.test_program)
    for _ in range(program.MAX_ROUNDS):
        nonce = secrets.token_hex(16)
        stdin = program.input_of_tester(task, known, nonce, classes)
        result = attempt.clock.run(tester, TESTER_LIMITS, stdin=stdin)
        told = program.read_round(result.stdout, nonce)
        if told.fault:
            raise SandboxError(f"the test program cannot judge: {told.fault}")
        if (
            not known
            and result.status is Status.OUTPUT_LIMIT
            and task.language not in program.TYPED
        ):
            raise SandboxError(f"the test program cannot judge: {failure(result)}")
        hangs = hangs or told.hangs
        if not told.unknown:
            passed = told.finished and result.status is Status.OK
            if passed and not known:
                raise SandboxError(f"the test program never calls {task.entry}")
            if not passed and result.status is Status.OK:
                raise SandboxError("the test program ends before its own end")
            if passed and told.idle:
                if not hangs:
                    raise SandboxError("the test program cannot judge: the tests assert nothing")
                yield TestVerdict(1, False, "no assertion was reached with what it returns")
                return
            yield TestVerdict(1, passed, "" if passed else _why_tests_failed(known, result))
            return
        records = list(answer_calls(attempt, [f"{call}\n" for call in told.unknown]))
        known.update(zip(told.unknown, records, strict=False))
        if len(records) < len(told.unknown) or len(known) > program.MAX_CALLS:
            break
    else:
        if not testable.may_go_on(task.test_program):
            raise SandboxError(f"the tests chain more than {program.MAX_ROUNDS} calls")
    yield TestVerdict(1, False, _why_unsettled(known))


def _why_tests_failed(known: dict[str, CallRecord], result: RunResult) -> str:
    """Return the likely reason; a failed call is only a hint, its arguments may be stand-ins."""
    for call, record in known.items():
        if not record.ok:
            told = record.failure or f"raised {shown(calls.raised(record))}"
            return f"call {shown(call)}: {told}"
    return f"an assertion fails: {failure(result)}"


def _why_unsettled(known: dict[str, CallRecord]) -> str:
    ends = [record.failure for record in known.values() if record.failure]
    return ends[0] if ends else "the test program makes too many calls"
