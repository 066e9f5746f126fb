"""Test programs that hear their own failed assertions and do no more than print. Pure text.

`try { assert(f(1) === 2); } catch (e) { console.log("FAIL"); }` passes whatever f returns. Such
handlers of JavaScript, PHP, Java and C# first tell the tester what they heard (`lost`), which then
fails; handlers that count, return or assert something else decide for themselves. A condition of
Bash that stands alone on a line is an assertion, also where the script forgot `set -e`.
Python's are rewritten in `harness/runner.py`, C++'s end the process.
"""

from __future__ import annotations

import re

_PRINTS = (
    r"console\.\w+|System\.(?:out|err)\.print\w*|(?:System\.)?Console\.(?:Error\.)?Write\w*|echo|print"
    r"|printf|var_dump|error_log"
)
_IDLE_HANDLER = re.compile(
    r"\bcatch\s*(?P<given>\([^(){}]*\))?\s*\{"
    rf"(?P<body>(?:\s*(?://[^\n]*|(?:{_PRINTS})\b(?:[^;{{}}]|\{{[^{{}}]*\}})*(?:;|(?=\s*\}}))))*\s*)\}}"
)
_PRINTED_REJECTION = re.compile(r"\.catch\(\s*console\.\w+\s*\)")
_NAME = re.compile(r"\$?[A-Za-z_]\w*")
_LOST = {
    "javascript": ("r1Lost", "(r1Error)"),
    "php": ("R1::lost", ""),
    "java": ("R1Tester.lost", ""),
    "csharp": ("R1Tester.Lost", "(System.Exception r1Error)"),
}
"""Language -> what a handler calls, and what it is given where it names nothing."""
_CONDITION = re.compile(r"^(?:\[\[ .* \]\]|\[ .* \]|test .*[^|&;\\])[ \t]*$", re.M)
_ERREXIT = re.compile(r"^\s*set\s+(?:-\w*e|-o\s+errexit)|^#!.*\s-\w*e", re.M)


def heard(language: str, tests: str) -> str:
    """Return tests whose idle handlers tell the tester what they hear."""
    call, unnamed = _LOST[language]

    def told(found: re.Match[str]) -> str:
        given = found["given"] or unnamed
        names = _NAME.findall(given.partition(":")[0])
        if (
            not names
            or (language == "csharp" and len(names) < 2)
            or (language == "php" and "$" not in given)
        ):
            return found[0]
        return f"catch {given} {{ {call}({names[-1]}); {found['body']} }}"

    if language == "javascript":
        tests = _PRINTED_REJECTION.sub(f".catch({call})", tests)
    return _IDLE_HANDLER.sub(told, tests)


def with_conditions(tests: str) -> str:
    """Return a Bash script in which a condition alone on a line ends the script where it fails."""
    return tests if _ERREXIT.search(tests) else _CONDITION.sub(r"\g<0> || exit 1", tests)
