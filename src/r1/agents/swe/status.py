"""Whether a patch resolves a task, from a test run: the rules of SWE-bench's harness of 2026.

    resolved   every test of FAIL_TO_PASS passes, and none of PASS_TO_PASS is broken
    passes     PASSED, XFAIL. In PASS_TO_PASS a skipped test is not broken, a missing one is.
    invalid    a run that proves nothing: no markers, no test in the log, or an exit code that tells
               of a failure which the log does not show (a patch can print "PASSED" lines itself)

A test that is told twice, once failed, has failed. An expected id that was cut inside its
parameters ("test_x[a") stands for all tests that begin so, if they agree. Empty lists hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

START, END = ">>>>> Start Test Output", ">>>>> End Test Output"
PASSES = frozenset(("PASSED", "XFAIL"))
RANK = ("PASSED", "XFAIL", "SKIPPED", "XPASS", "FAILED", "ERROR")
"""A later one outweighs an earlier one of the same test."""
_LINE = re.compile(rf"^({'|'.join(RANK)})\s+(?:\[\d+\]\s+)?(\S.*)$")


class Resolution(NamedTuple):
    """A run's verdict. invalid: why it proves nothing, or None; then it is not resolved.

    failed: tests of FAIL_TO_PASS that do not pass. broken: tests of PASS_TO_PASS that are broken.
    """

    resolved: bool
    invalid: str | None
    failed: tuple[str, ...]
    broken: tuple[str, ...]


def statuses_of_log(log: str) -> dict[str, str] | None:
    """Test id -> status of pytest's summary between the markers; None without both markers.

    The last start counts, and the first end behind it.
    """
    _, start, rest = log.rpartition(START)
    inside, end, _ = rest.partition(END)
    if not start or not end:
        return None
    found: dict[str, str] = {}
    for line in inside.splitlines():
        if match := _LINE.match(line.rstrip()):
            status, test = match[1], _test_id(*match.groups())
            before = found.get(test, status)
            found[test] = max(before, status, key=RANK.index)
    return found


def _test_id(status: str, text: str) -> str:
    """The id on a line of the summary: failures have a message behind it, after " - "."""
    if status in ("PASSED", "SKIPPED"):
        return text
    head, closed, _ = text.partition("] - ")
    if closed and "[" in head:
        return f"{head}]"
    head = text.partition(" - ")[0]
    return text if head.count("[") > head.count("]") else head


def judge_log(
    log: str, exit_code: int, fail_to_pass: Iterable[str], pass_to_pass: Iterable[str]
) -> Resolution:
    """The verdict on a run by its log and exit code."""
    statuses = statuses_of_log(log)
    if statuses is None:
        return Resolution(False, "the log has no markers", tuple(fail_to_pass), ())
    return judge_statuses(statuses, exit_code, fail_to_pass, pass_to_pass)


def judge_statuses(
    statuses: Mapping[str, str],
    exit_code: int,
    fail_to_pass: Iterable[str],
    pass_to_pass: Iterable[str],
) -> Resolution:
    """The verdict on a run by the status of each test."""
    failed = tuple(test for test in fail_to_pass if status_of(test, statuses) not in PASSES)
    sound = PASSES | {"SKIPPED"}
    broken = tuple(test for test in pass_to_pass if status_of(test, statuses) not in sound)
    invalid = _invalid(statuses, exit_code)
    return Resolution(not (invalid or failed or broken), invalid, failed, broken)


def _invalid(statuses: Mapping[str, str], exit_code: int) -> str | None:
    if not statuses:
        return "no test was executed"
    has_failed = bool({"FAILED", "ERROR"} & set(statuses.values()))
    if exit_code != 0 and not has_failed:
        return f"exit code {exit_code}, and no test that failed"
    return None


def status_of(test: str, statuses: Mapping[str, str]) -> str | None:
    """A test's status; of an id cut inside its parameters the one that all candidates share."""
    if test in statuses:
        return statuses[test]
    if "[" not in test or test.endswith("]"):
        return None
    found = {status for other, status in statuses.items() if other.startswith(test)}
    return found.pop() if len(found) == 1 else None
