"""MMLU: 14,042 questions of 57 subjects, four options (Hendrycks et al. 2020).

The original CSV files have no header and line breaks inside fields. 27 rows are exact duplicates
within their subject; they are kept, as in every published figure. The score is the mean over
questions; each subject's own is beside it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import LAST_LINE, letter_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, Row, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_rows
from r1.types import Problem

_COLUMNS = ("question", "A", "B", "C", "D", "answer")


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    subject = where.partition(":")[0].removesuffix("_test")
    options = [text_of(row, letter) for letter in "ABCD"]
    question, letter = text_of(row, "question"), text_of(row, "answer")
    return letter_problem(f"mmlu/{where}", question, options, letter, subject)


def _zipped(paths: list[list[Path]]) -> Iterator[Item]:
    def rows() -> Iterator[Row]:
        with zipfile.ZipFile(paths[0][0]) as archive:
            for name in sorted(archive.namelist()):
                if name.startswith("data/test/") and name.endswith("_test.csv"):
                    yield from csv_rows(Path(name).stem, archive.read(name), _COLUMNS)

    return items(rows(), _problem)


def _unpacked(paths: list[list[Path]]) -> Iterator[Item]:
    rows = (row for path in paths[0] for row in csv_rows(path.stem, path.read_bytes(), _COLUMNS))
    return items(rows, _problem)


register_benchmark(
    Benchmark(
        name="mmlu",
        title="MMLU",
        measures="knowledge, 57 subjects",
        num_questions=14_042,
        k=1,
        protocol=LAST_LINE,
        data="the authors' data.tar (hendrycks/test) unpacked, or the same files as mmlu.zip",
        layouts=(
            DataLayout("MMLU test, mmlu.zip", ("mmlu.zip",), _zipped),
            DataLayout("MMLU test, CSV files", ("data/test/*_test.csv",), _unpacked),
        ),
        published=table_4(88.3, 87.2, 88.5, 85.2, 90.8, o1=91.8) | stages(88.8, 89.1, 91.2, 91.0),
    )
)
