"""Codeforces: a model's expected rating and the share of competitors it beats, over contests.

    problems*              open-r1/codeforces' rows, as .jsonl or .parquet
    contests/*.json        the contests that are run, frozen by `r1 bench freeze`
    sorted_ratings.json*   optional: the ratings of all users, for a percentile by that snapshot

Answers are judged by the expert tests (official_tests where they are complete) and, where several
outputs are right, by the problem's checker. Refused by name: interactive problems, problems that
read files, cut tests. A refused problem counts as unsolved, which is told: the rating is then a
lower bound. The paper takes ten Div. 2 contests and 16 samples; which ten, it does not say.

By default answers are C++; `codeforces@python` and the like take another language, within the same
limits, as on the site.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.contests.figures import ratings
from r1.benchmarks.contests.frozen import read_contest
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, Row, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines, parquet_rows
from r1.data.rows import RowError, shown
from r1.errors import UserError
from r1.types import Problem

LANGUAGES = {"cpp": "C++17", "python": "Python 3", "java": "Java"}
MAX_TIME_LIMIT_S = 60.0
READERS = {".jsonl": json_lines, ".parquet": parquet_rows}
_ASK = (
    "Solve the following problem of a programming contest in {language}. The program reads "
    "standard input and writes the answer, and nothing else, to its output, within {seconds:g} "
    "seconds and {megabytes:g} MB.\n\n{statement}\n\nThink first. Put the whole program into one "
    "block that begins with ```{tag}."
)
_CHECKER = """import contextlib, io, sys
given, printed, wanted = sys.argv[1:4]
sys.argv[1:4] = [given, wanted, printed]
source, told = {source!r}, io.StringIO()
try:
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        exec(compile(source, "checker.py", "exec"), {{"__name__": "__main__"}})
    accepts = float(told.getvalue().split()[-1]) >= 1
except Exception:
    raise SystemExit(3)
raise SystemExit(0 if accepts else 1)
"""
"""Asks a checker of the data, which reads input, expected output and output, and prints 1 or 0; a
checker that breaks ends with another exit code than one that refuses."""


def _problem(language: str, where: str, row: Mapping[str, Any]) -> Problem:
    if str(row.get("interaction_format") or "").strip():
        raise RowError("it is interactive: its answers talk to a judge, which is not to be had")
    if row.get("input_mode", "stdio") != "stdio":
        raise RowError("it reads files, not standard input")
    contest, index = str(row.get("contest_id")), text_of(row, "index")
    seconds, megabytes = _number(row, "time_limit"), _number(row, "memory_limit")
    metadata: dict[str, Any] = {
        "language": language,
        "contest": contest,
        "index": index,
        "tests": _tests(row),
        "time_limit_s": min(seconds, MAX_TIME_LIMIT_S),
        "total_s": 60.0 + 2 * seconds * len(row["official_tests"]),
        "memory_mb": megabytes,
    }
    if checker := str(row.get("generated_checker") or "").strip():
        source = _CHECKER.format(source=checker)
        metadata["checker"] = {"language": "python", "source": source}
    asked = {"language": LANGUAGES[language], "tag": language}
    prompt = _ASK.format(seconds=seconds, megabytes=megabytes, statement=_statement(row), **asked)
    identity = f"codeforces/{contest}/{index}"
    return Problem(identity, prompt, None, "code", family=contest, metadata=metadata)


def _number(row: Mapping[str, Any], column: str) -> float:
    value = row.get(column)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
        raise RowError(f"{column} is {shown(value)}; it must be a number above 0")
    return float(value)


def _tests(row: Mapping[str, Any]) -> list[dict[str, str]]:
    tests = row.get("official_tests")
    if not isinstance(tests, list) or not tests:
        raise RowError("it has no expert tests")
    if row.get("official_tests_complete") is not True:
        raise RowError("its expert tests are cut (official_tests_complete is not true)")
    if not all(isinstance(test, dict) for test in tests):
        raise RowError("its expert tests are no objects")
    return [{"input": test.get("input"), "output": test.get("output")} for test in tests]


def _statement(row: Mapping[str, Any]) -> str:
    parts = [str(row.get("title") or ""), text_of(row, "description")]
    for column, head in (("input_format", "Input"), ("output_format", "Output"), ("note", "Note")):
        if text := str(row.get(column) or "").strip():
            parts.append(f"{head}\n{text}")
    examples = row.get("examples")
    for example in examples if isinstance(examples, list) else []:
        if isinstance(example, dict):
            told = f"{example.get('input')}\nOutput of the example\n{example.get('output')}"
            parts.append(f"Input of an example\n{told}")
    return "\n\n".join(part for part in parts if part)


def _read(language: str, paths: list[list[Path]]) -> Iterator[Item]:
    contests = {str(read_contest(path).contest_id) for path in paths[1]}
    for path in paths[0]:
        if path.suffix not in READERS:
            continue
        rows = (row for row in READERS[path.suffix](path) if _is_of(row, contests))
        yield from items(rows, partial(_problem, language))


def _is_of(row: Row, contests: set[str]) -> bool:
    columns = row[1]
    return isinstance(columns, RowError) or str(columns.get("contest_id")) in contests


def _benchmark(language: str, name: str) -> Benchmark:
    read = partial(_read, language)
    files = ("problems*", "contests/*.json")
    return Benchmark(
        name=name,
        title="Codeforces" if name == "codeforces" else f"Codeforces, {LANGUAGES[language]}",
        measures="contests: expected rating, competitors beaten",
        num_questions=60,
        k=16,
        protocol=f"code: the last block, {LANGUAGES[language]}; all expert tests or the checker",
        data="open-r1/codeforces as problems*.parquet; contests/ made by `r1 bench freeze`",
        needs="a sandbox",
        layouts=(
            DataLayout("with a snapshot of ratings", (*files, "sorted_ratings.json*"), read),
            DataLayout("without a snapshot of ratings", files, read),
        ),
        parts=("contest", "index"),
        further=ratings,
    )


def _vary(language: str) -> Benchmark:
    if language not in LANGUAGES:
        raise UserError(f"codeforces@{language}: languages are {', '.join(LANGUAGES)}.")
    return _benchmark(language, f"codeforces@{language}")


register_benchmark(replace(_benchmark("cpp", "codeforces"), vary=_vary))
