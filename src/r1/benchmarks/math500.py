"""MATH-500: 500 problems of MATH's test split (Lightman et al. 2023), free-form answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import BOXED, math_problem
from r1.benchmarks.protocol import (
    Benchmark,
    DataLayout,
    Item,
    distilled,
    items,
    stages,
    table_4,
    text_of,
)
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.benchmarks.variants import MATH, vary
from r1.types import Problem


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    return math_problem(
        f"math500/{where}",
        text_of(row, "problem"),
        text_of(row, "answer"),
        str(row.get("subject") or "default"),
    )


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), _problem)


register_benchmark(
    Benchmark(
        name="math500",
        title="MATH-500",
        measures="competition mathematics, seven subjects",
        num_questions=500,
        k=16,
        protocol=BOXED,
        vary=partial(vary, "math500", MATH),
        data="HuggingFaceH4/MATH-500, test.jsonl (problem, answer, subject)",
        layouts=(DataLayout("MATH-500", ("test.jsonl",), _read),),
        published=table_4(78.3, 74.6, 90.2, 90.0, 97.3, o1=96.4)
        | stages(95.9, 94.2, 95.9, 95.4)
        | distilled(83.9, 92.8, 93.9, 94.3, (89.1, 94.5)),
    )
)
