"""Read a problem's program and tests from its metadata.

    {"language": "python", "tests": [{"input": "1 2\\n", "output": "3\\n"}]}          standard input
    {"language": "cpp", "tests": [...], "checker": {"language": "python", "source": "..."}}
    {"language": "java", "entry": "Solution.add", "tests": [{"args": [1, 2], "expected": 3}]}
    {"language": "python", "entry": "add", "test_program": "def check(candidate): ..."}

Further keys, all optional: `time_limit_s` and `memory_mb` of one run, `total_s` of all tests of one
response; `tolerance` (a number, or null for exact; by default 1e-6 where some expected output has a
decimal point); `compare` ("tokens", "lines", "decimals" or "exact") and `case` (false: YES is yes)
for standard output; `order` ("same", "any", "any at every level") for returned lists; `before` and
`after`, source put around the answer (imports, an enclosing class); `calls_per_run`, calls that one
process answers, by default all; `in_class`, the class for a Java or C# method that stands in none;
`stood_in_for`, a Java package whose imports are dropped from answers, as `after` has its classes.
Problem.reference, where there is one, is a correct program.

Other data sets' forms of tests are in `r1.rewards.code.forms`.

A checker is a program that is given three files as arguments (the input, what was printed, the
reference output) and accepts by exit status 0, as testlib's do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from r1.rewards.code import compare
from r1.rewards.code.compare import Mode, Order, has_decimals
from r1.rewards.code.forms import normal_form
from r1.rewards.code.reading import ALIASES
from r1.rewards.code.task_error import TaskError as TaskError
from r1.rewards.code.testable import code_in_prompt, why_no_test
from r1.types import Problem

Kind = Literal["stdio", "calls", "program"]


@dataclass(frozen=True, slots=True)
class StdioTest:
    """One input and the output expected for it."""

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class CallTest:
    """One call's arguments and its expected result, as JSON values."""

    args: list[Any]
    expected: Any


@dataclass(frozen=True, slots=True)
class Checker:
    """A program that judges an output; see the module's docstring."""

    language: str
    source: str


@dataclass(frozen=True, slots=True)
class CodeTask:
    """A problem's metadata, checked. Exactly one of stdio, calls and test_program is not empty."""

    kind: Kind
    language: str
    stdio: tuple[StdioTest, ...] = ()
    calls: tuple[CallTest, ...] = ()
    test_program: str = ""
    entry: str = ""
    checker: Checker | None = None
    time_limit_s: float | None = None
    total_s: float | None = None
    memory_mb: int | None = None
    tolerance: float | None = None
    compare: Mode = "tokens"
    case: bool = True
    order: Order = "same"
    before: str = ""
    after: str = ""
    in_class: str = ""
    stood_in_for: str = ""
    calls_per_run: int | None = None
    prompt_code: str = ""

    @property
    def given(self) -> list[str]:
        """Return the code around the answer and in the prompt, which the tests may use."""
        return [text for text in (self.before, self.prompt_code) if text]

    @property
    def num_tests(self) -> int:
        """Return the number of verdicts; a test program counts as one."""
        return len(self.stdio) or len(self.calls) or 1


def read_task(problem: Problem) -> CodeTask:
    """Read a problem's metadata; TaskError says what is wrong with them."""
    data = normal_form(problem.metadata)
    language = _text(data, "language")
    if language not in ALIASES:
        raise TaskError(f"metadata.language is {language!r}; valid: {', '.join(sorted(ALIASES))}")
    if ("tests" in data) == ("test_program" in data):
        raise TaskError('metadata needs either "tests" (a list) or "test_program" (a source)')
    common: dict[str, Any] = {
        "language": language,
        "time_limit_s": _positive(data, "time_limit_s"),
        "total_s": _positive(data, "total_s"),
        "memory_mb": None if (mb := _positive(data, "memory_mb")) is None else math.ceil(mb),
        "calls_per_run": None if (n := _positive(data, "calls_per_run")) is None else math.ceil(n),
        "compare": _choice(data, "compare", get_args(Mode)),
        "order": _choice(data, "order", get_args(Order)),
        "case": _flag(data, "case", True),
        "before": _text(data, "before", ""),
        "after": _text(data, "after", ""),
        "in_class": _text(data, "in_class", ""),
        "stood_in_for": _text(data, "stood_in_for", ""),
    }
    if "test_program" in data:
        entry, tests = _text(data, "entry"), _text(data, "test_program")
        if reason := why_no_test(language, tests, entry):
            raise TaskError(f"metadata.test_program {reason}")
        prompt = code_in_prompt(problem.prompt) if language == "python" else ""
        return CodeTask("program", test_program=tests, entry=entry, prompt_code=prompt, **common)
    tests = data["tests"]
    if not isinstance(tests, list) or not tests or not all(isinstance(t, dict) for t in tests):
        raise TaskError("metadata.tests must be a list of objects, at least one")
    if "entry" in data:
        calls = tuple(_call_test(test, number) for number, test in enumerate(tests, 1))
        tolerance = _tolerance(data, compare.TOLERANCE)
        return CodeTask(
            "calls", calls=calls, entry=_text(data, "entry"), tolerance=tolerance, **common
        )
    stdio = tuple(_stdio_test(test, number) for number, test in enumerate(tests, 1))
    decimal = any(has_decimals(test.output) for test in stdio)
    tolerance = _tolerance(data, compare.TOLERANCE if decimal else None)
    return CodeTask("stdio", stdio=stdio, tolerance=tolerance, checker=_checker(data), **common)


def _call_test(test: dict[str, Any], number: int) -> CallTest:
    if not isinstance(test.get("args"), list) or "expected" not in test:
        raise TaskError(
            f'test {number} of metadata.tests must be {{"args": [...], "expected": ...}}, since '
            'the problem has an "entry"'
        )
    return CallTest(test["args"], test["expected"])


def _stdio_test(test: dict[str, Any], number: int) -> StdioTest:
    given, expected = test.get("input"), test.get("output")
    if not isinstance(given, str) or not isinstance(expected, str):
        raise TaskError(
            f'test {number} of metadata.tests must be {{"input": "...", "output": "..."}}; for '
            "calls of a function add its name as metadata.entry"
        )
    return StdioTest(given, expected)


def _checker(data: dict[str, Any]) -> Checker | None:
    given = data.get("checker")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise TaskError('metadata.checker must be {"language": "...", "source": "..."}')
    language, source = _text(given, "language"), _text(given, "source")
    if language not in ALIASES:
        raise TaskError(f"the checker's language is {language!r}; valid: {', '.join(ALIASES)}")
    return Checker(language, source)


def _text(data: dict[str, Any], key: str, default: str | None = None) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise TaskError(f"metadata.{key} must be a text that is not empty")
    return value


def _positive(data: dict[str, Any], key: str) -> float | None:
    value = data.get(key)
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise TaskError(f"metadata.{key} is {value!r}; it must be a number above 0")
    return float(value)


def _flag(data: dict[str, Any], key: str, default: bool) -> bool:
    value = data.get(key, default)
    if value not in (True, False):  # "false" would be true
        raise TaskError(f"metadata.{key} is {value!r}; it must be true or false")
    return bool(value)


def _tolerance(data: dict[str, Any], default: float | None) -> float | None:
    if "tolerance" in data and data["tolerance"] in (None, 0):
        return None
    given = _positive(data, "tolerance")
    return default if given is None else given


def _choice(data: dict[str, Any], key: str, valid: tuple[str, ...]) -> str:
    value = data.get(key, valid[0])
    if value not in valid:
        raise TaskError(f"metadata.{key} is {value!r}; valid: {', '.join(valid)}")
    return str(value)
