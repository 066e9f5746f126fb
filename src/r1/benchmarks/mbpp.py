"""MBPP: short Python functions from one sentence and three assertions (Austin et al. 2021), pass@1.

The sanitized set has 427 tasks; of the full file the test split is read (ids 11 to 510), which is
another set and is named. Its prompt and its tests are those of `r1.data.mbpp`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.protocol import Benchmark, DataLayout, Row, items
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import hub_layout, json_lines, parsed_json
from r1.data.mbpp import read_mbpp
from r1.data.rows import RowError, shown
from r1.types import Problem

TEST_IDS = range(11, 511)


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    return Problem(verifier="code", family="python", **read_mbpp(row))


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
        data="google-research/mbpp, sanitized-mbpp.json or mbpp.jsonl, or the hub's "
        "google-research-datasets/mbpp",
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
            hub_layout("sanitized", "sanitized/*.parquet", _problem),
            hub_layout(
                "the full file's test split (not sanitized)", "full/test-*.parquet", _problem
            ),
        ),
    )
)
