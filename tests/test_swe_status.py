"""The harness's rules: a table of logs by hand, each with its verdict."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from r1.agents.swe.status import END, START, judge_log, judge_statuses

F2P, P2P = ("t.py::test_new",), ("t.py::test_old",)


class Log(NamedTuple):
    name: str
    lines: str
    exit_code: int
    resolved: bool
    invalid: str | None = None
    f2p: tuple[str, ...] = F2P
    p2p: tuple[str, ...] = P2P


BOTH = "PASSED t.py::test_new\nPASSED t.py::test_old\n"
LOGS = [
    Log("both pass", BOTH, 0, True),
    Log("expected to fail, and does", "XFAIL t.py::test_new\nPASSED t.py::test_old\n", 0, True),
    Log("the new one fails", "FAILED t.py::test_new - x\nPASSED t.py::test_old\n", 1, False),
    Log("the new one errs", "ERROR t.py::test_new\nPASSED t.py::test_old\n", 1, False),
    Log("the new one is skipped", "SKIPPED t.py::test_new\nPASSED t.py::test_old\n", 0, False),
    Log("the new one is missing", "PASSED t.py::test_old\n", 0, False),
    Log(
        "the new one passes by surprise", "XPASS t.py::test_new\nPASSED t.py::test_old\n", 0, False
    ),
    Log("an old one is skipped", "PASSED t.py::test_new\nSKIPPED t.py::test_old\n", 0, True),
    Log("an old one fails", "PASSED t.py::test_new\nFAILED t.py::test_old\n", 1, False),
    Log("an old one errs", "PASSED t.py::test_new\nERROR t.py::test_old - x\n", 1, False),
    Log("an old one is missing", "PASSED t.py::test_new\n", 0, False),
    Log("another test fails", BOTH + "FAILED t.py::test_flaky - x\n", 1, True),
    Log("forged, and the run died", BOTH, 1, False, "exit code 1"),
    Log("forged, and killed", BOTH, 137, False, "exit code 137"),
    Log("forged before the truth", BOTH + "FAILED t.py::test_new - x\n", 1, False),
    Log("forged behind the truth", "FAILED t.py::test_new\n" + BOTH, 1, False),
    Log("flaky: failed, then passed", "FAILED t.py::test_old\n" + BOTH, 1, False),
    Log("errs at the end of a test that passed", BOTH + "ERROR t.py::test_new\n", 1, False),
    Log("nothing executed", "Executed 0 of 0 SUCCESS\n", 0, False, "no test"),
    Log("no tests ran", "no tests ran in 0.01s\n", 5, False, "no test"),
    Log("nothing at all", "", 0, False, "no test"),
    Log(
        "indented lines are no verdicts",
        "  PASSED t.py::test_new\nPASSED t.py::test_old\n",
        0,
        False,
    ),
    Log("words are no verdicts", "PASSED t.py::test_new_one\nPASSED t.py::test_old\n", 0, False),
    Log("no lists", BOTH, 0, True, f2p=(), p2p=()),
    Log("a cut id", "PASSED t.py::a[x y]\n", 0, True, f2p=("t.py::a[x",), p2p=()),
    Log(
        "a cut id of two that agree",
        "PASSED t.py::a[x y]\nPASSED t.py::a[x z]\n",
        0,
        True,
        f2p=("t.py::a[x",),
        p2p=(),
    ),
    Log(
        "a cut id of two that differ",
        "PASSED t.py::a[x y]\nFAILED t.py::a[x z]\n",
        1,
        False,
        f2p=("t.py::a[x",),
        p2p=(),
    ),
    Log("a cut id of none", "PASSED t.py::a[q]\n", 0, False, f2p=("t.py::a[x",), p2p=()),
    Log("a whole id is not cut", "PASSED t.py::a[x y]\n", 0, False, f2p=("t.py::a[x]",), p2p=()),
    Log(
        "an id without brackets is not cut", "PASSED t.py::ab\n", 0, False, f2p=("t.py::a",), p2p=()
    ),
    Log(
        "an id with white space",
        "PASSED t.py::a[x - y]\n",
        0,
        True,
        f2p=("t.py::a[x - y]",),
        p2p=(),
    ),
    Log(
        "dashes in a message",
        "FAILED t.py::test_new - 1 == 2 - 3\nPASSED t.py::test_old\n",
        1,
        False,
    ),
]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_a_log(log: Log) -> None:
    text = f"installing\n{START}\n{log.lines}{END}\nbye\n"
    found = judge_log(text, log.exit_code, log.f2p, log.p2p)
    assert found.resolved is log.resolved
    assert (found.invalid or "").startswith(log.invalid or "")
    assert bool(found.invalid) == bool(log.invalid)


@pytest.mark.parametrize(
    "text", ["", BOTH, f"{START}\n{BOTH}", f"{BOTH}{END}", f"{END}\n{BOTH}{START}\n"]
)
def test_a_log_without_its_markers_proves_nothing(text) -> None:
    assert judge_log(text, 0, F2P, P2P) == judge_log("", 0, F2P, P2P)
    assert not judge_log(text, 0, F2P, P2P).resolved


def test_lines_before_the_last_start_do_not_count() -> None:
    forged = f"{START}\n{BOTH}{END}\n"
    real = f"{START}\nFAILED t.py::test_new - x\nPASSED t.py::test_old\n{END}\n"
    assert not judge_log(forged + real, 1, F2P, P2P).resolved


def test_what_failed_and_what_broke_is_named() -> None:
    found = judge_statuses({"a": "FAILED", "b": "FAILED"}, 1, ["a"], ["b", "c"])
    assert found == (False, None, ("a",), ("b", "c"))
