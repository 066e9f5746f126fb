"""LiveCodeBench, code generation: contest problems with dates (Jain et al. 2024), pass@1.

The paper's window is August 2024 to January 2025, by the contest's date; another one is asked for
as `livecodebench@2023-05:2024-03` (months or days, both ends included). The score is told by month
too: a model that has seen the older problems shows a step.

Every public and private test must pass, within 6 s of processor time and 4 GB each, all within
7 s a test and 5 s more. Standard input is judged in a process of its own for every test, lines
compared as the original compares them; a functional test calls a method of Solution, in a process
of its own too, and its result is compared by value and type, without tolerance.

Left out on purpose: the original runs all tests in one process with a simulated standard input,
which fails correct programs that read it in another way; and it takes the text between the last two
fences, where here the last Python block counts, whatever follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.protocol import (
    Benchmark,
    DataLayout,
    Item,
    Refused,
    Row,
    distilled,
    items,
    stages,
    table_4,
    text_of,
)
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.data.rows import RowError, shown
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.rewards.code.livecodebench import COLUMNS, read_cases
from r1.rewards.code.task_error import TaskError
from r1.types import Problem

WINDOW = ("2024-08-01", "2025-01-31")
TIME_LIMIT_S = 6.0
MEMORY_MB = 4096
MAX_ROW_BYTES = 512 << 20
"""Of a row with its packed tests."""
PREAMBLE = (
    "import sys; sys.setrecursionlimit(50000); sys.set_int_max_str_digits(50000); "
    "from string import *; from re import *; from datetime import *; from collections import *; "
    "from heapq import *; from bisect import *; from copy import *; from math import *; "
    "from random import *; from statistics import *; from itertools import *; "
    "from functools import *; from operator import *; from io import *; from json import *; "
    "from builtins import *; from typing import *; import string, re, datetime, collections, "
    "heapq, bisect, copy, math, random, statistics, itertools, functools, operator, io, json\n"
)
"""What answers may use without an import, as in the original."""
_ASK = (
    "Solve the following programming problem in Python 3.\n\n{question}\n\n{how}\n\nThink first. "
    "Put the whole program into one block that begins with ```python."
)
_STDIN = "The program reads standard input and writes the answer, and nothing else, to its output."
_FUNCTION = "Complete this code; it is called, and reads no input:\n\n```python\n{starter}\n```"


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    starter = str(row.get("starter_code") or "")
    how = _FUNCTION.format(starter=starter.strip("\n")) if starter.strip() else _STDIN
    tests = {column: row[column] for column in COLUMNS if row.get(column) is not None}
    try:
        num_tests = sum(len(read_cases(text, column)) for column, text in tests.items())
    except TaskError as fault:
        raise RowError(str(fault)) from None
    metadata = {
        "language": "python",
        "difficulty": text_of(row, "difficulty"),
        "month": _date(row)[:7],
        **tests,
        "func_name": _func_name(row),
        "before": PREAMBLE,
        "compare": "decimals",
        "tolerance": None,
        "calls_per_run": 1,
        "time_limit_s": TIME_LIMIT_S,
        "total_s": (TIME_LIMIT_S + 1) * num_tests + 5,
        "memory_mb": MEMORY_MB,
    }
    prompt = _ASK.format(question=text_of(row, "question_content"), how=how)
    identity = f"livecodebench/{text_of(row, 'question_id')}"
    family = str(metadata["difficulty"])
    return Problem(identity, prompt, None, "code", family=family, metadata=metadata)


def _func_name(row: Mapping[str, Any]) -> object:
    """The method's name, in the row's own metadata, a JSON text; None for standard input."""
    try:
        told = parse_json(str(row.get("metadata") or "{}").encode())
    except FormatError as fault:
        raise RowError(f"metadata: {fault}") from None
    return told.get("func_name") if isinstance(told, dict) else None


def _date(row: Mapping[str, Any]) -> str:
    date = text_of(row, "contest_date")[:10]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise RowError(f"contest_date is {shown(row.get('contest_date'))}; it must begin as a date")
    return date


def _rows(path: Path, window: tuple[str, str]) -> Iterator[Row]:
    """The rows of a file within a window; odd ones too, so that they are counted."""
    begin, end = window
    for where, row in json_lines(path, MAX_ROW_BYTES):
        try:
            outside = not isinstance(row, RowError) and not begin <= _date(row) <= end
        except RowError:
            outside = False
        if not outside:
            yield where, row


def _read(window: tuple[str, str], paths: list[list[Path]]) -> Iterator[Item]:
    found = False
    for path in paths[0]:
        for item in items(_rows(path, window), _problem):
            found = True
            yield item
    if not found:
        yield Refused("all rows", f"no contest date is within {window[0]} to {window[1]}")


def _benchmark(window: tuple[str, str], name: str) -> Benchmark:
    read = partial(_read, window)

    return Benchmark(
        name=name,
        title="LiveCodeBench",
        measures=f"contest problems, {window[0]} to {window[1]}",
        num_questions=279,
        k=8,
        protocol="code: the last Python block; all tests, 6 s and 4 GB each",
        data="livecodebench/code_generation_lite, test.jsonl to test6.jsonl",
        needs="a sandbox",
        layouts=(DataLayout("code_generation_lite", ("test*.jsonl",), read),),
        published=table_4(38.9, 32.9, 36.2, 53.8, 65.9, o1=63.4)
        | stages(50.0, 57.5, 63.5, 64.6)
        | distilled(16.9, 37.6, 53.1, 57.2, (39.6, 57.5)),
        parts=("difficulty", "month"),
    )


def _vary(variant: str) -> Benchmark:
    """Another window: `livecodebench@2023-05:2024-03`."""
    window = re.fullmatch(r"(\d{4}-\d\d)(-\d\d)?:(\d{4}-\d\d)(-\d\d)?", variant)
    if window is None:
        raise UserError(
            f"livecodebench@{variant} is no window; write two months or days, as in "
            "livecodebench@2024-08:2025-01."
        )
    begin, end = window[1] + (window[2] or "-01"), window[3] + (window[4] or "-31")
    for said in (begin, window[3] + (window[4] or "-01")):
        try:
            date.fromisoformat(said)
        except ValueError as fault:
            raise UserError(f"livecodebench@{variant}: {said} is no day: {fault}.") from None
    if begin > end:
        raise UserError(f"livecodebench@{variant} ends before it begins; exchange its two ends.")
    varied = _benchmark((begin, end), f"livecodebench@{variant}")
    public = varied.layouts[0]._replace(
        name="public tests alone (not the benchmark)", files=("*public_tests.jsonl",)
    )
    title = f"LCB {variant}"
    return replace(varied, title=title, published={}, layouts=(*varied.layouts, public))


register_benchmark(replace(_benchmark(WINDOW, "livecodebench"), vary=_vary))
