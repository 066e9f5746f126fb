"""GSM8K: 1,319 word problems of primary school; the gold number stands after "####".

Not among the paper's benchmarks; small models are told apart by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import BOXED, math_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import hub_layout, json_lines
from r1.benchmarks.variants import MATH, vary
from r1.data.rows import RowError
from r1.types import Problem


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    _, found, answer = text_of(row, "answer").rpartition("####")
    if not found or not answer.strip():
        raise RowError('answer has no number after "####"')
    gold = answer.strip().replace(",", "")
    return math_problem(f"gsm8k/{where}", text_of(row, "question"), gold)


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), _problem)


register_benchmark(
    Benchmark(
        name="gsm8k",
        title="GSM8K",
        measures="word problems",
        num_questions=1319,
        k=1,
        protocol=BOXED,
        vary=partial(vary, "gsm8k", MATH),
        data="openai/grade-school-math, test.jsonl (question, answer), or openai/gsm8k of the hub",
        layouts=(
            DataLayout("GSM8K test", ("test.jsonl",), _read),
            hub_layout("GSM8K test", "main/test-*.parquet", _problem),
        ),
    )
)
