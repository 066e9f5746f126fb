"""MBPP: short Python functions from one sentence and three assertions (Austin et al. 2021), pass@1.

The sanitized set has 427 tasks; of the full file the test split is read (ids 11 to 510), which is
another set and is named. As in the original, the prompt shows the assertions that judge: without
them the function's name and signature would be a guess.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.protocol import Benchmark, DataLayout, Row, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines, parsed_json
from r1.data.rows import RowError, shown
from r1.types import Problem

TEST_IDS = range(11, 511)
TIME_LIMIT_S = 10.0
_ASK = (
    "{task}\n\nWrite it as a Python function that passes these tests:\n\n"
    "```python\n{tests}\n```\n\nPut the whole program into one block that begins with ```python."
)


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    task = text_of(row, "prompt" if "prompt" in row else "text")
    gold, tests = text_of(row, "code"), row.get("test_list")
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise RowError(f"test_list is {shown(tests)}; it must be a list of assertions")
    setup = row.get("test_imports") or [line for line in [row.get("test_setup_code")] if line]
    metadata = {
        "language": "python",
        "entry": _tested_function(gold, tests),
        "test_list": tests,
        "test_imports": setup,
        "time_limit_s": TIME_LIMIT_S,
    }
    prompt = _ASK.format(task=task, tests="\n".join([*setup, *tests]))
    identity = f"mbpp/{row.get('task_id')}"
    return Problem(identity, prompt, gold, "code", family="python", metadata=metadata)


def _tested_function(gold: str, tests: list[str]) -> str:
    """The function that the gold program defines and the tests call. Raises RowError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the gold programs' own escapes
            calls, defined = ast.parse("\n".join(tests)), ast.parse(gold)
    except SyntaxError:
        raise RowError("its tests or its gold program are no Python") from None
    names = {node.id for node in ast.walk(calls) if isinstance(node, ast.Name)}
    for node in defined.body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            return node.name
    raise RowError("its tests call no function of its gold program")


def _sanitized(path: Path) -> Iterator[Row]:
    try:
        rows = parsed_json(path)
    except RowError as fault:
        yield path.stem, fault
        return
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        odd = RowError(f"the row is {shown(row)}")
        yield f"{path.stem}:{number}", row if isinstance(row, dict) else odd


def _test_split(path: Path) -> Iterator[Row]:
    for where, row in json_lines(path):
        if isinstance(row, RowError) or row.get("task_id") in TEST_IDS:
            yield where, row


register_benchmark(
    Benchmark(
        name="mbpp",
        title="MBPP",
        measures="short Python functions from one sentence",
        num_questions=427,
        k=1,
        protocol="code: the last block; every shown assertion must hold",
        data="google-research/mbpp, sanitized-mbpp.json or mbpp.jsonl",
        needs="a sandbox",
        layouts=(
            DataLayout(
                "sanitized",
                ("sanitized-mbpp.json",),
                lambda paths: items(_sanitized(paths[0][0]), _problem),
            ),
            DataLayout(
                "the full file's test split (not sanitized)",
                ("mbpp.jsonl",),
                lambda paths: items(_test_split(paths[0][0]), _problem),
            ),
        ),
    )
)
