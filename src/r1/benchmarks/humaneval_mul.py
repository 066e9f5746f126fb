"""HumanEval-Mul: HumanEval in eight languages (MultiPL-E's translations, as DeepSeek-Coder has
them); each language's pass@1, and their plain mean.

The languages have 158 to 164 rows, as some problems have no translation. A language whose toolchain
is missing on this machine is left out of the mean, by name. A row that no right answer passes is
refused, with the reason: tests that contradict each other or do not compile, C#'s Equals of null, a
name that PHP has taken. So is a C++ union or std::any: it does not say what it holds, so that its
value cannot leave the answer's process.

Left out of the original on purpose: its limits of wall clock (3 s; 10 s for Bash), and that
JavaScript must print nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.benchmarks.code_prompts import WHOLE_FUNCTION, complete_prompt
from r1.benchmarks.humaneval import TIME_LIMIT_S, humaneval_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.data.rows import RowError
from r1.errors import UserError
from r1.types import Problem


class _Translation(NamedTuple):
    """A language as its file, its tests and its readers have it.

    head: a pattern of the stub's lines that stand above an answer. tail: what the tests begin
    with, as they continue the stub. in_class: the class around the function.
    """

    file: str
    title: str
    head: str = ""
    tail: str = ""
    in_class: str = ""


LANGUAGES = {
    "python": _Translation("python", "Python"),
    "cpp": _Translation("cpp", "C++", r"^#include.*\n", "}"),
    "java": _Translation("java", "Java", r"^import (?!org\.javatuples).*\n", "}", "Problem"),
    "csharp": _Translation("cs", "C#", r"^using .*\n", "}", "Problem"),
    "javascript": _Translation("js", "JavaScript"),
    "typescript": _Translation("ts", "TypeScript"),
    "php": _Translation("php", "PHP"),
    "bash": _Translation("sh", "Bash", "", "}"),
}
TUPLES = "org.javatuples"
_PAIR = """
class Pair<A, B> implements Iterable<Object> {
    private final A first;
    private final B second;
    public Pair(A first, B second) { this.first = first; this.second = second; }
    public static <A, B> Pair<A, B> with(A first, B second) { return new Pair<>(first, second); }
    public A getValue0() { return first; }
    public B getValue1() { return second; }
    public <C> Pair<C, B> setAt0(C value) { return new Pair<>(value, second); }
    public <C> Pair<A, C> setAt1(C value) { return new Pair<>(first, value); }
    public java.util.List<Object> toList() { return java.util.Arrays.asList(first, second); }
    public java.util.Iterator<Object> iterator() { return toList().iterator(); }
    public boolean equals(Object other) {
        return other instanceof Pair && toList().equals(((Pair<?, ?>) other).toList());
    }
    public int hashCode() { return toList().hashCode(); }
    public String toString() { return toList().toString(); }
}
"""
"""Stands in for org.javatuples.Pair, which the sandbox's Java does not have."""


def _problem(language: str, where: str, row: Mapping[str, Any]) -> Problem:
    identity = f"humaneval_mul/{language}/{row.get('task_id')}"
    if language == "python":
        entry = re.search(r"\ncheck\((\w+)\)", text_of(row, "test"))
        if entry is None:
            raise RowError("its test calls no check(FUNCTION)")
        return humaneval_problem(identity, row, entry[1])
    spec = LANGUAGES[language]
    stub = text_of(row, "prompt")
    declaration = stub.splitlines()[-1]
    if (named := re.search(r"(\w+)\s*\(", declaration)) is None:
        raise RowError("its prompt ends in no function")
    tests = text_of(row, "test")
    if reason := _why_impossible(language, named[1], declaration, tests):
        raise RowError(reason)
    uses_pair = language == "java" and "Pair" in declaration
    tests = _whole_tests(spec, tests) + (_PAIR if uses_pair else "")
    metadata = {
        "language": language,
        "entry": named[1],
        "before": "".join(re.findall(spec.head, stub, re.M)) if spec.head else "",
        "after": _PAIR if uses_pair else "",
        "in_class": spec.in_class,
        "stood_in_for": TUPLES if language == "java" else "",
        "test_program": tests,
        "time_limit_s": TIME_LIMIT_S,
    }
    prompt = complete_prompt(spec.title, language, stub)
    return Problem(identity, prompt, None, "code", family=language, metadata=metadata)


def _why_impossible(language: str, name: str, declaration: str, tests: str) -> str:
    """Why no right answer passes a row, or ""."""
    for languages, holds, reason in (
        ("php", name == "strlen", "PHP has a function strlen of its own"),
        (
            "cpp",
            re.search(r"\bUnion_|\bstd::any\b", declaration),
            "its C++ type hides what it holds",
        ),
        ("csharp", _asks_reference(declaration, tests), "its tests ask Equals of a reference"),
        ("csharp", "Tuple<Nullable<" in declaration, "its tests want a value of another type"),
        ("java", ".equals(Optional.of(Pair" in tests, "its tests want a value of another type"),
        ("javascript", _breaks_a_string(tests), "its tests break a line within a string"),
        (
            "cpp java csharp javascript typescript",
            name.lower().replace("_", "") == "anyint",
            "its tests want true of 3 and false of 3.0, which are one number there",
        ),
    ):
        if language in languages.split() and holds:
            return reason
    return ""


def _asks_reference(declaration: str, tests: str) -> bool:
    """Whether C# tests compare a null string, or a dictionary's identity."""
    null = " string " in declaration and ".Equals(null)" in tests
    return null or ").Equals((new Dictionary" in tests


def _breaks_a_string(tests: str) -> bool:
    return any(line.count('"') % 2 for line in tests.splitlines())


def _whole_tests(spec: _Translation, tests: str) -> str:
    """Tests that continue the stub, as a program of their own."""
    if spec.tail:
        tests = tests.lstrip().removeprefix(spec.tail)
    return f"class {spec.in_class} {{\n{tests}" if spec.in_class else tests


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    by_file = {f"humaneval-{spec.file}": language for language, spec in LANGUAGES.items()}
    for path in paths[0]:
        if (language := by_file.get(path.stem)) is not None:
            yield from items(json_lines(path), partial(_problem, language))


def _only(language: str) -> Benchmark:
    """One language alone, as `humaneval_mul@java`."""
    if language not in LANGUAGES:
        raise UserError(f"humaneval_mul@{language}: languages are {', '.join(LANGUAGES)}.")
    spec = LANGUAGES[language]
    layout = DataLayout(spec.title, (f"humaneval-{spec.file}.jsonl",), _read)
    name, title = f"humaneval_mul@{language}", f"HumanEval-Mul, {spec.title}"
    return replace(_ALL, name=name, title=title, layouts=(layout,), published={})


_ALL = Benchmark(
    name="humaneval_mul",
    title="HumanEval-Mul",
    measures="functions in eight languages",
    num_questions=1280,
    k=1,
    protocol=WHOLE_FUNCTION + "; the plain mean of the languages",
    data="deepseek-ai/DeepSeek-Coder, Evaluation/HumanEval/data/humaneval-*.jsonl",
    needs="a sandbox, compilers",
    layouts=(DataLayout("DeepSeek-Coder's eight files", ("humaneval-*.jsonl",), _read),),
    published={"DeepSeek-V3": 82.6},
    parts=("language",),
    mean_over="language",
    vary=_only,
)
register_benchmark(_ALL)
