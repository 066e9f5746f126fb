"""HumanEval: 164 Python functions from their docstrings (Chen et al. 2021), pass@1.

The answer's program stands below what the prompt has above the function (imports, helpers), so that
an answer of the function alone is whole. A completion without the function's head is not: the
protocol asks for the whole function.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.code_prompts import WHOLE_FUNCTION, before_function, complete_prompt
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import gzipped_json_lines, hub_layout, json_lines
from r1.types import Problem

TIME_LIMIT_S = 10.0
"""Processor time of the answer; the original stops it after 3 s of wall clock."""


def humaneval_problem(identity: str, row: Mapping[str, Any], entry: str) -> Problem:
    """A row of HumanEval as a problem; entry: the function's name. Raises RowError."""
    stub = str(row.get("prompt"))
    metadata = {
        "language": "python",
        "entry": entry,
        "before": before_function(stub, entry),
        "test_program": text_of(row, "test"),
        "time_limit_s": TIME_LIMIT_S,
    }
    gold = stub + str(row.get("canonical_solution") or "")
    prompt = complete_prompt("Python", "python", stub)
    return Problem(identity, prompt, gold, "code", family="python", metadata=metadata)


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    return humaneval_problem(f"humaneval/{row.get('task_id')}", row, text_of(row, "entry_point"))


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    path = paths[0][0]
    return items(gzipped_json_lines(path) if path.suffix == ".gz" else json_lines(path), _problem)


register_benchmark(
    Benchmark(
        name="humaneval",
        title="HumanEval",
        measures="Python functions from docstrings",
        num_questions=164,
        k=1,
        protocol=WHOLE_FUNCTION,
        data="openai/human-eval, HumanEval.jsonl.gz (task_id, prompt, entry_point, test), or "
        "openai/openai_humaneval of the hub",
        needs="a sandbox",
        layouts=(
            DataLayout("HumanEval", ("HumanEval.jsonl*",), _read),
            hub_layout("HumanEval", "openai_humaneval/test-*.parquet", _problem),
        ),
    )
)
