"""Function tests: the answer and a harness form one program that reads calls and writes results.

The harness (`harness/`, one a language) reads a list of arguments a line and writes what the
function returned. It runs beside the answer, in the answer's own process, so the answer may read
it, patch it or write in its place. It gains nothing by that, because the results are values that
are compared outside, and the expected ones never enter the sandbox. The nonce only tells results
from what the answer prints.

Left out on purpose: arguments that are no JSON (linked lists, trees) and functions that change
their arguments in place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from r1.rewards.code import compare
from r1.rewards.code.problem import CodeTask

HARNESS_FOLDER = Path(__file__).parent / "harness"
_PUBLIC = re.compile(
    r"^public\s+(?=(?:(?:final|abstract|sealed|strictfp)\s+)*(?:class|interface|enum|record)\b)",
    re.M,
)
_JAVA_CLASS = re.compile(r"\b(?:class|interface|enum|record)\s+([A-Za-z_]\w*)")
JAVA_IMPORTS = (
    "import java.util.*; import java.util.function.*; import java.util.stream.*; "
    "import java.math.*; import java.io.*;\n"
)
CSHARP_IMPORTS = (
    "using System; using System.Collections; using System.Collections.Generic; "
    "using System.Linq; using System.Text; using System.Numerics;\n"
)


class CallRecord(NamedTuple):
    """The outcome of one call: its result or its error, as JSON.

    failure: how the process ended, where it did so before answering.
    """

    ok: bool
    text: str
    failure: str = ""


def harness_source(task: CodeTask, answer: str) -> str:
    """Return the program that serves calls of the answer's function."""
    code = task.before + answer + "\n" + task.after
    owner, name = split_entry(task.entry)
    if task.language == "python":  # the answer is told by opening_lines
        return python_harness(carried=task.kind == "program")
    source = _SOURCES[task.language](code, owner, name)
    if task.language in ("javascript", "typescript"):
        return source.replace("R1_TAGGED", json.dumps(task.kind == "program"))
    return source


def opening_lines(task: CodeTask, answer: str, nonce: str) -> str:
    """Return the lines that the harness reads before the first call."""
    if task.language == "python":
        code = task.before + answer + "\n" + task.after
        setup = {"nonce": nonce, "source": code, "entry": task.entry}
        return json.dumps(setup) + "\n"
    return nonce + "\n"


def call_line(language: str, args: Sequence[Any]) -> str:
    """Return one call in the form the harness reads."""
    if language != "bash":
        return json.dumps(list(args)) + "\n"
    return " ".join("." + for_printf(as_word(value)) for value in args) + "\n"


def read_records(stdout: str, nonce: str) -> dict[int, CallRecord]:
    """Return the calls that were answered: the first record of each number."""
    records: dict[int, CallRecord] = {}
    for line in stdout.split("\n"):
        parts = line.split(" ", 3)
        if len(parts) == 4 and parts[0] == nonce and parts[1].isdecimal() and len(parts[1]) < 9:
            records.setdefault(int(parts[1]), CallRecord(parts[2] == "ok", parts[3]))
    return records


def raised(record: CallRecord) -> str:
    """Return the exception of a call, for people."""
    try:
        told = json.loads(record.text)
    except (ValueError, RecursionError):
        return record.text
    return str(told.get("text")) if isinstance(told, dict) else str(told)


def same_result(task: CodeTask, record: CallRecord, expected: Any) -> bool:
    """Whether a record is the expected result; False if it cannot be read."""
    if not record.ok:
        return False
    if task.language == "bash":
        printed = printed_text(record)
        tolerance = task.tolerance if isinstance(expected, (float, list)) else None
        return printed is not None and compare.same_text(printed, as_word(expected), tolerance)
    try:
        value = compare.parse_value(record.text)
    except ValueError:
        return False
    if task.language == "php":
        expected = _without_objects(expected)
    return compare.same_value(value, expected, task.tolerance, task.order)


def printed_text(record: CallRecord) -> str | None:
    """Return what a Bash function printed; None if nothing, or if the answer forged it."""
    try:
        printed = json.loads(record.text, strict=False) if record.ok else None
    except (ValueError, RecursionError):
        return None
    return printed if isinstance(printed, str) else None


def split_entry(entry: str) -> tuple[str, str]:
    """Split "Solution.add" into ("Solution", "add") and "add" into ("", "add")."""
    owner, _, name = entry.replace("::", ".").rpartition(".")
    return owner, name


def as_word(value: Any) -> str:
    """Return a JSON value as a Bash word: lists joined by spaces, true, false, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(as_word(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def for_printf(word: str) -> str:
    """Return a text for Bash's `printf %b`, in one line without blanks."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\0{byte:03o}"
        for byte in word.encode(errors="replace")  # half a surrogate pair, where it was forged
    )


def _without_objects(value: Any) -> Any:
    """Replace empty objects by empty lists, which PHP cannot tell apart."""
    if isinstance(value, list):
        return [_without_objects(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_objects(item) for key, item in value.items()} or []
    return value


def without_public(code: str) -> str:
    """Return Java source without `public` types, so that several can share one file."""
    return _PUBLIC.sub("", code)


def json_part(name: str) -> str:
    """Return the JSON reader and writer that a harness begins with."""
    return re.split(r"^(?:public )?class R1Harness\b", _harness(name), maxsplit=1, flags=re.M)[0]


@cache
def _harness(name: str) -> str:
    return (HARNESS_FOLDER / name).read_text(encoding="utf-8")


@cache
def python_harness(carried: bool) -> str:
    """Return the Python harness: for plain JSON, or for a test program's values of any kind."""
    if carried:
        return "\n\n".join(map(_harness, ("bridge.py", "usual.py", "harness.py", "carrier.py")))
    return "\n\n".join([*map(_harness, ("usual.py", "harness.py")), "serve(call, told_error)\n"])


def _javascript(code: str, owner: str, name: str) -> str:
    code = re.sub(r"^export\s+(?:default\s+)?", "", code, flags=re.MULTILINE)
    harness = _harness("harness.js").replace("R1_ENTRY", "null" if owner else name)
    harness = harness.replace("R1_OWNER", owner or "null").replace("R1_NAME", json.dumps(name))
    return f"{code}\n{_harness('bridge.js')}\n{harness}"


def _typescript(code: str, owner: str, name: str) -> str:
    # Types are the answer's own affair: it is paid for what its function returns.
    return f"// @ts-nocheck\ndeclare var require: any;\n{_javascript(code, owner, name)}"


def _java(code: str, owner: str, name: str) -> str:
    code = re.sub(r"^\s*package\s+[\w.]+\s*;", "", code)
    code = re.sub(r"\bvoid\s+main\s*\(", "void r1AnswersMain(", code)
    owners = [owner] if owner else list(dict.fromkeys(_JAVA_CLASS.findall(code)))
    names = "new String[] {" + ", ".join(json.dumps(item) for item in owners) + "}"
    harness = _harness("Harness.java").replace("R1_OWNERS", names)
    harness = harness.replace("R1_NAME", json.dumps(name))
    return f"{JAVA_IMPORTS}{without_public(code)}\n{harness}"


def _csharp(code: str, owner: str, name: str) -> str:
    code = re.sub(r"\bMain\s*\(", "R1AnswersMain(", code)
    harness = _harness("Harness.cs").replace("R1_OWNER", json.dumps(owner))
    return f"{CSHARP_IMPORTS}{code}\n{harness.replace('R1_NAME', json.dumps(name))}"


def _cpp(code: str, owner: str, name: str) -> str:
    pointer = f"&{owner}::{name}"  # "::" alone: the answer's max_element, not that of std
    # Where nothing is included everything is, as on LeetCode; it doubles the compiler's time.
    everything = "" if "#include" in code else "#include <bits/stdc++.h>\n"
    return (
        f"{everything}{_harness('harness.hpp')}\n"
        f"#define main r1_answers_main\n{code}\n#undef main\n"
        f"signed main() {{ return r1_harness::serve({pointer}); }}\n"
    )


def _php(code: str, owner: str, name: str) -> str:
    code = re.sub(r"^\s*<\?(?:php)?", "", code).rstrip().removesuffix("?>")
    call = f"r1_serve({json.dumps(owner)}, {json.dumps(name)});"
    return f"<?php\n{code}\n{_harness('harness.php')}\n{call}\n"


def _bash(code: str, owner: str, name: str) -> str:
    return f"{code}\n{_harness('harness.sh')}\nr1_serve {name}\n"


_SOURCES = {
    "java": _java,
    "cpp": _cpp,
    "csharp": _csharp,
    "javascript": _javascript,
    "typescript": _typescript,
    "php": _php,
    "bash": _bash,
}
