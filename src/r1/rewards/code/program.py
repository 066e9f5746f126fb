"""Test programs (HumanEval's `check`, MultiPL-E's asserts); tests and answer never share a process.

The test program runs in its own sandbox, with a stub for the function under test. The stub reports
every call whose result is unknown; the answer's harness (`r1.rewards.code.calls`) makes that call
in another sandbox; the next round of the test program knows the result. A round without unknown
calls decides alone: its own last line is the pass. Independent assertions take two rounds, since
after an unknown call no assertion can fail and the round goes on; one that needs another call's
result takes one more.

So the answer can neither read the tests, nor end them early, nor patch what they compare with: only
values reach them. `harness/bridge.py` describes how Python values cross, and whose fault it is if
one cannot. Left out on purpose: arguments changed in place in other languages than Python, and
functions whose results change from call to call.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from r1.rewards.code import calls, testable
from r1.rewards.code.calls import CallRecord
from r1.rewards.code.heard import heard, with_conditions
from r1.rewards.code.problem import CodeTask
from r1.rewards.code.signature import find_method, find_signature, parameter_names
from r1.sandbox.languages import main_class

MAX_ROUNDS = 40
MAX_CALLS = 5_000
TYPED = ("cpp", "java", "csharp")
"""Languages whose stub has the types of the answer's own function."""


class Round(NamedTuple):
    """The results of one run of the test program.

    unknown: calls it could not make. finished: whether it came to its end. fault: why it cannot
    judge the answer. idle: it reached no assertion and has no other way to fail. hangs: which way
    it takes hangs on what the answer returns.
    """

    unknown: list[str]
    finished: bool
    fault: str = ""
    idle: bool = False
    hangs: bool = False


class NoTesterError(ValueError):
    """No stub can replace the answer's function; the message gives the reason."""


def source_of_tester(task: CodeTask, answer: str) -> str:
    """Return the program that runs the tests against a stub. Raises NoTesterError if there can be
    none."""
    owner, name = calls.split_entry(task.entry)
    return _TESTERS[task.language](task, answer, owner, name)


def input_of_tester(
    task: CodeTask, known: dict[str, CallRecord], nonce: str, classes: Sequence[str] = ()
) -> str:
    """Return the test program's input: results so far; classes: those of the answer."""
    if task.language == "python":
        setup = {
            "nonce": nonce,
            "entry": task.entry,
            "given": task.given,
            "source": task.test_program,
            "classes": classes,
            "known": {call: [record.ok, record.text] for call, record in known.items()},
        }
        return json.dumps(setup) + "\n"
    lines = [nonce]
    for call, record in known.items():
        lines += [call, _known_line(task.language, record)]
    return "\n".join(lines) + "\n"


def read_round(stdout: str, nonce: str) -> Round:
    """Read the output of the test program."""
    unknown: dict[str, None] = {}
    told = set()
    fault = ""
    for line in stdout.split("\n"):
        if line.startswith(f"{nonce} call "):
            unknown[line.removeprefix(f"{nonce} call ")] = None
        elif line.startswith(f"{nonce} fault "):
            fault = fault or json.loads(line.removeprefix(f"{nonce} fault "))
        elif line.startswith(f"{nonce} "):
            told.add(line.removeprefix(f"{nonce} "))
    return Round(list(unknown), "done" in told, fault, "idle" in told, "hangs" in told)


def classes_of(answer: str) -> list[str]:
    """Return the classes that a Python answer defines."""
    try:
        tree = ast.parse(answer)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def _known_line(language: str, record: CallRecord) -> str:
    if language == "bash":
        return "." + calls.for_printf(calls.printed_text(record) or "")
    return f"{'ok' if record.ok else 'error'} {record.text}"


@cache
def _part(name: str) -> str:
    return (calls.HARNESS_FOLDER / name).read_text(encoding="utf-8")


def _python(task: CodeTask, answer: str, owner: str, name: str) -> str:
    return "\n\n".join(map(_part, ("bridge.py", "usual.py", "tester.py", "runner.py")))


def _javascript(task: CodeTask, answer: str, owner: str, name: str) -> str:
    target = f"globalThis.{owner or name}"
    stub = f"class {{ {name}(...a) {{ return r1Stub(...a); }} }}" if owner else "r1Stub"
    also = f"\n{target}.{name} = r1Stub;" if owner else ""
    given = f"{{...globalThis, {name}: r1Stub, {owner or name}: {target}, default: {target}}}"
    tests = re.sub(r"^\s*declare\s+var\s+require\s*:.*$", "", task.test_program, flags=re.M)
    tests = heard("javascript", re.sub(_JS_IMPORT, _required, tests, flags=re.M))
    head = _part("tester.js").replace("R1_GLOBAL", f"{target} = {stub};{also}")
    head = head.replace("R1_EXPORTS", given).replace("R1_NAME", json.dumps(task.entry))
    head = _with_checks(head, task.language, tests)
    uncalled = ", ".join(
        found
        for found in re.findall(r"^(?:async )?function (test\w*|check\w*)\s*\(", tests, re.M)
        if len(re.findall(rf"\b{found}\b", tests)) == 1
    )
    body = f"{task.before}\n{tests}\nr1Run([{uncalled}].map((f) => () => f(r1Stub)));"
    return f"{_part('bridge.js')}\n{head}\n(function (require) {{\n{body}\n}})(r1Require);\n"


def _required(found: re.Match[str]) -> str:
    """Rewrite `import a, {b as c} from "m"` as a call of require."""
    names, module = found[1].strip(), found[2]
    default, _, rest = names.partition("{")
    default = default.strip(" ,").removeprefix("* as ").strip()
    lines = [f"const {default} = require({module});"] if default else []
    if rest:
        fields = re.sub(r"\s+as\s+", ": ", rest.rstrip("} "))
        lines.append(f"const {{{fields}}} = require({module});")
    return " ".join(lines)


_JS_IMPORT = r"""^import\s+([^"'`;]+?)\s+from\s+(["'][^"'\n]+["'])[ \t]*;?"""


def _typescript(task: CodeTask, answer: str, owner: str, name: str) -> str:
    source = _javascript(task, answer, owner, name)
    return f"// @ts-nocheck\ndeclare var require: any;\n{source}"


def _php(task: CodeTask, answer: str, owner: str, name: str) -> str:
    method = f"function {name}(...$a) {{ return R1::call($a); }}"
    stub = f"class {owner} {{ public static {method} }}" if owner else method
    tests = re.sub(r"^\s*<\?(?:php)?", "", task.test_program).rstrip().removesuffix("?>")
    tests = re.sub(r"\bthrow\s+(new\s+\w+\([^;]*\))\s*;", r"R1::fail(\1);", tests)
    tests = heard("php", re.sub(r"\bassert\s*\(", "R1::check(", tests))
    head = _with_checks(_part("tester.php"), task.language, task.test_program)
    return f"<?php\n{head}\n{stub}\n{task.before}\n{tests}\nR1::done();\n"


def _bash(task: CodeTask, answer: str, owner: str, name: str) -> str:
    stub = f'{name}() {{ r1_stub "$@"; }}'
    done = "[[ $? = 0 ]] || exit 1\nprintf '\\n%s done\\n' \"$r1_nonce\" >&3"
    tests = with_conditions(task.test_program)
    return f"{_part('tester.sh')}\n{stub}\n{task.before}\n{tests}\n{done}\n"


def _cpp(task: CodeTask, answer: str, owner: str, name: str) -> str:
    found = find_signature(task.before + answer, name)
    if found is None:
        raise NoTesterError(f"no function {name} with plain types")
    tests = re.sub(r"\bassert\s*\(", "r1_tester::check(", task.test_program)
    declared = f"{found.result} {name}({found.parameters});"
    if owner:
        kind = f"r1_tester::Stub<decltype(&r1_declared::{name})>"
        stub = f"struct {owner} {{ {kind} {name}; }};"
    else:
        stub = f"static r1_tester::Stub<decltype(&r1_declared::{name})> {name};"
    includes = "".join(re.findall(r"^[ \t]*#[ \t]*include.*\n", task.before + tests, re.M))
    everything = includes or "#include <bits/stdc++.h>\n"
    harness = _part("harness.hpp")
    if "std::" in tests:  # written without the line below: their max_element is the stub
        harness = harness.replace("using namespace std;", "")
    return (
        f"{everything}{harness}\n"
        f"{_with_checks(_part('tester.hpp'), task.language, tests)}\n"
        f"namespace r1_declared {{ using namespace std; {declared} }}\n{stub}\n{tests}\n"
    )


def _java(task: CodeTask, answer: str, owner: str, name: str) -> str:
    tests = calls.without_public(f"{task.before}\n{task.test_program}")
    tests = re.sub(r"^[ \t]*package\s+[\w.]+\s*;", "", tests, flags=re.M)
    imports = "".join(f"{line}\n" for line in re.findall(_JAVA_IMPORT, tests, re.M))
    tests = heard("java", _soft_asserts(re.sub(_JAVA_IMPORT, "", tests, flags=re.M)))
    main = main_class(tests)
    head = _with_checks(_part("Tester.java"), task.language, tests)
    # Static serves `new Solution().f(x)` as well as `Solution.f(x)`.
    tests = _with_stub(task, answer, owner or main, name, tests, "R1Tester.call({}.class", "static")
    head = head.replace("R1_NAME", json.dumps(name)).replace("R1_MAIN", json.dumps(main))
    return f"{calls.JAVA_IMPORTS}{imports}{head}\n{calls.json_part('Harness.java')}\n{tests}\n"


def _csharp(task: CodeTask, answer: str, owner: str, name: str) -> str:
    tests = f"{task.before}\n{task.test_program}"
    usings = "".join(f"{line}\n" for line in re.findall(_CSHARP_USING, tests, re.M))
    tests = re.sub(_CSHARP_USING, "", tests, flags=re.M)
    tests = re.sub(
        r"\b(?:System\.Diagnostics\.)?(?:Debug|Trace)\.Assert\s*\(", "R1Tester.Check(", tests
    )
    tests = heard("csharp", tests)
    head = _with_checks(_part("Tester.cs"), task.language, tests)
    found = re.search(r"\bclass\s+(\w+)(?=[^{}]*\{(?:(?!\bclass\b).)*?\bMain\s*\()", tests, re.S)
    main = found[1] if found else ""
    is_static = not owner or owner == main or re.search(rf"\b{owner}\s*\.\s*{name}\s*\(", tests)
    tests = re.sub(r"\bMain\s*\(", "R1TestsMain(", tests)
    modifiers = "public static" if is_static else "public"
    call = "R1Tester.Call(typeof({})"
    tests = _with_stub(task, answer, owner or main, name, tests, call, modifiers)
    head = head.replace("R1_NAME", json.dumps(name))
    return f"{calls.CSHARP_IMPORTS}{usings}{head}\n{calls.json_part('Harness.cs')}\n{tests}\n"


def _with_checks(head: str, language: str, tests: str) -> str:
    """Return a tester that counts assertions, from 1 if the tests can fail in another way too."""
    return head.replace("R1_CHECKS", str(int(testable.can_fail_otherwise(language, tests))))


def _with_stub(
    task: CodeTask, answer: str, owner: str, name: str, tests: str, call: str, modifiers: str
) -> str:
    """Return the tests with a stub method on the answer's types: in the class that the tests
    declare, or in a new one."""
    found = find_method(task.before + answer, name)
    if found is None or not owner:
        raise NoTesterError(f"no method {name} with plain types")
    given = ", ".join(f"(object) {word}" for word in parameter_names(found.parameters))
    given = given.replace("object", "Object") if task.language == "java" else given
    array = "new Object[] {" if task.language == "java" else "new object[] {"
    body = f"return ({_cast(found.result)}) {call.format(owner)}, {array}{given}}});"
    warning = '@SuppressWarnings("unchecked") ' if task.language == "java" else ""
    stub = f"{warning}{modifiers} {found.result} {name}({found.parameters}) {{ {body} }}"
    declared = re.search(rf"\b(?:class|record)\s+{re.escape(owner)}\b[^{{}};]*\{{", tests)
    if declared:
        return f"{tests[: declared.end()]}\n{stub}\n{tests[declared.end() :]}"
    return f"class {owner} {{ {stub} }}\n{tests}"


def _cast(result: str) -> str:
    """Return the result's type without a generic method's type parameters."""
    depth, end = 0, 0
    for place, char in enumerate(result if result.startswith("<") else ""):
        depth += (char == "<") - (char == ">")
        if depth == 0:
            end = place + 1
            break
    return result[end:].strip()


def _soft_asserts(tests: str) -> str:
    """Rewrite `assert (…);` as a call that does not end a round with unknown results."""
    pieces, begin = [], 0
    for found in re.finditer(r"\bassert\s*\(", tests):
        end = _closing(tests, found.end())
        if found.start() < begin or not re.match(r"\s*;", tests[end:]):
            continue
        pieces += [tests[begin : found.start()], "R1Tester.check(", tests[found.end() : end]]
        begin = end
    return "".join([*pieces, tests[begin:]])


def _closing(text: str, begin: int) -> int:
    """Return the index after the bracket that closes the one opened before `begin`."""
    depth = 1
    for found in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[()]', text[begin:], re.S):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth == 0:
            return begin + found.end()
    return len(text)


_JAVA_IMPORT = r"^[ \t]*import\s[^;]*;"
_CSHARP_USING = r"^[ \t]*using\s+(?!var\b)[\w.]+(?:\s*=[^;(]*)?;"

_TESTERS: dict[str, Callable[[CodeTask, str, str, str], str]] = {
    "python": _python,
    "cpp": _cpp,
    "java": _java,
    "csharp": _csharp,
    "javascript": _javascript,
    "typescript": _typescript,
    "php": _php,
    "bash": _bash,
}
