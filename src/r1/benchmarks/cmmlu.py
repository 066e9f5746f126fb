"""CMMLU: Chinese knowledge, 11,528 questions of 67 subjects (Li et al. 2023).

Named in the paper's description of how answers are judged; its tables have no figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import CHINESE_LAST_LINE, chinese_letter_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_files, hub_layout
from r1.types import Problem


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    return chinese_letter_problem(
        f"cmmlu/{where}",
        text_of(row, "Question"),
        [text_of(row, letter) for letter in "ABCD"],
        text_of(row, "Answer"),
        where.partition(":")[0].removesuffix("_test"),
    )


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(csv_files(paths[0]), _problem)


register_benchmark(
    Benchmark(
        name="cmmlu",
        title="CMMLU",
        measures="Chinese knowledge, 67 subjects",
        num_questions=11_528,
        k=1,
        protocol=CHINESE_LAST_LINE,
        data="haonan-li/CMMLU, data/test/*.csv, or the hub's Parquet",
        layouts=(
            DataLayout("test split", ("test/*.csv",), _read),
            hub_layout("test split", "*/test-*.parquet", _problem),
        ),
    )
)
