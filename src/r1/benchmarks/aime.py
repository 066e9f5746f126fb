"""AIME 2024 and 2025: 30 problems each, answers from 0 to 999, compared by value ("025" is 25)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
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
from r1.benchmarks.rows import hub_layout, json_lines
from r1.benchmarks.variants import MATH, vary
from r1.data.rows import RowError
from r1.types import Problem


def _problem(name: str, where: str, row: Mapping[str, Any]) -> Problem:
    answer = text_of(row, "answer")
    if not answer.isascii() or not answer.isdigit() or int(answer) > 999:
        raise RowError(f"answer is {answer!r}; it must be a whole number from 0 to 999")
    question = text_of(row, "problem" if "problem" in row else "question")
    return math_problem(f"{name}/{where}", question, str(int(answer)))


def _read(name: str, paths: list[list[Path]]) -> Iterator[Item]:
    rows = chain.from_iterable(json_lines(path) for part in paths for path in part)
    return items(rows, partial(_problem, name))


register_benchmark(
    Benchmark(
        name="aime2024",
        title="AIME 2024",
        measures="competition mathematics",
        num_questions=30,
        k=64,
        protocol=BOXED,
        vary=partial(vary, "aime2024", MATH),
        data="HuggingFaceH4/aime_2024 as it is, or as JSON lines (problem, answer)",
        layouts=(
            DataLayout("AIME 2024 I and II", ("test.jsonl",), partial(_read, "aime2024")),
            hub_layout("AIME 2024 I and II", "data/train-*.parquet", partial(_problem, "aime2024")),
        ),
        published=table_4(16.0, 9.3, 39.2, 63.6, 79.8, o1=79.2)
        | stages(77.9, 59.0, 74.0, 78.1)
        | distilled(28.9, 55.5, 69.7, 72.6, (50.4, 70.0)),
    )
)
register_benchmark(
    Benchmark(
        name="aime2025",
        title="AIME 2025",
        measures="competition mathematics after the paper",
        num_questions=30,
        k=64,
        protocol=BOXED,
        vary=partial(vary, "aime2025", MATH),
        data="the two parts as JSON lines (problem, answer), e.g. GAIR-NLP/AIME-Preview, or "
        "opencompass/AIME2025 as it is",
        layouts=(
            DataLayout(
                "AIME 2025 I and II",
                ("test2025-I.jsonl", "test2025-II.jsonl"),
                partial(_read, "aime2025"),
            ),
            DataLayout(
                "AIME 2025 I and II, the hub's",
                ("aime2025-I.jsonl", "aime2025-II.jsonl"),
                partial(_read, "aime2025"),
            ),
        ),
    )
)
