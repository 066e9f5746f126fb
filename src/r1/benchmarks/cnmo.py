"""CNMO 2024, the Chinese mathematical olympiad.

There is no official release: LiveMathBench has 18 questions in either language. Where its file is
missing, LIMO's CHMath is read, 30 questions of the provincial league of the same season; the result
names which was run, and the paper's figures are of the former alone. The paper does not give k.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import BOXED, math_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.benchmarks.variants import MATH, vary
from r1.types import Problem


def _problem(column: str, where: str, row: Mapping[str, Any]) -> Problem:
    return math_problem(f"cnmo2024/{where}", text_of(row, column), text_of(row, "answer"))


def _read(column: str, paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), partial(_problem, column))


register_benchmark(
    Benchmark(
        name="cnmo2024",
        title="CNMO 2024",
        measures="Chinese olympiad mathematics",
        num_questions=18,
        k=64,
        protocol=BOXED,
        vary=partial(vary, "cnmo2024", MATH),
        data="opencompass/LiveMathBench, v202412_CNMO_en or _cn as JSON lines (question, answer)",
        layouts=(
            DataLayout(
                "LiveMathBench, English", ("v202412_CNMO_en.jsonl",), partial(_read, "question")
            ),
            DataLayout(
                "LiveMathBench, Chinese", ("v202412_CNMO_cn.jsonl",), partial(_read, "question")
            ),
            DataLayout(
                "LIMO's CHMath 2024 (not CNMO)",
                ("chmath2024_test.jsonl",),
                partial(_read, "problem"),
                of_paper=False,
            ),
        ),
        published=table_4(13.1, 10.8, 43.2, 67.6, 78.8) | stages(88.1, 58.0, 73.9, 77.3),
    )
)
