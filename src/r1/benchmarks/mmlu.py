"""MMLU: 14,042 questions of 57 subjects, four options (Hendrycks et al. 2020).

The original CSV files have no header and line breaks inside fields. 27 rows are exact duplicates
within their subject; they are kept, as in every published figure. The score is the mean over
questions; each subject's own is beside it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import LAST_LINE, letter_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, Row, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_rows, hub_layout, options_of
from r1.benchmarks.variants import LENIENT_LETTER, Variant, read_by, vary
from r1.data.rows import RowError, shown
from r1.errors import UserError
from r1.files.regular import MAX_BYTES, open_file, read_bytes
from r1.types import Problem

_COLUMNS = ("question", "A", "B", "C", "D", "answer")


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    subject = where.partition(":")[0].removesuffix("_test")
    options = [text_of(row, letter) for letter in "ABCD"]
    question, letter = text_of(row, "question"), text_of(row, "answer")
    return letter_problem(f"mmlu/{where}", question, options, letter, subject)


def _hub_problem(where: str, row: Mapping[str, Any]) -> Problem:
    options, index = options_of(row, "choices"), row.get("answer")
    if not isinstance(index, int) or not 0 <= index < len(options):
        raise RowError(f"answer is {shown(index)}; it must be the index of an option")
    subject = str(row.get("subject") or "default")
    return letter_problem(
        f"mmlu/{where}", text_of(row, "question"), options, "ABCD"[index], subject
    )


def _zipped(paths: list[list[Path]]) -> Iterator[Item]:
    def rows() -> Iterator[Row]:
        path = paths[0][0]
        try:
            with open_file(path) as packed, zipfile.ZipFile(packed) as archive:
                for name in sorted(archive.namelist()):
                    if name.startswith("data/test/") and name.endswith("_test.csv"):
                        with archive.open(name) as file:
                            data = file.read(MAX_BYTES + 1)
                        if len(data) > MAX_BYTES:
                            raise zipfile.BadZipFile(f"{name} has more than 64 MiB")
                        yield from csv_rows(Path(name).stem, data, _COLUMNS)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as fault:
            # A RuntimeError: it is encrypted, or packed in a way that is not known.
            raise UserError(f"{path} is no sound zip file ({fault}); fetch it again.") from None

    return items(rows(), _problem)


def _unpacked(paths: list[list[Path]]) -> Iterator[Item]:
    rows = (row for path in paths[0] for row in csv_rows(path.stem, read_bytes(path), _COLUMNS))
    return items(rows, _problem)


VARIANTS = {
    "simple-evals": Variant(
        'simple-evals: steps, then "Answer: X"; the first such letter',
        partial(read_by, "simple-evals"),
    ),
    "lenient": LENIENT_LETTER,
}

register_benchmark(
    Benchmark(
        name="mmlu",
        title="MMLU",
        measures="knowledge, 57 subjects",
        num_questions=14_042,
        k=1,
        protocol=LAST_LINE,
        vary=partial(vary, "mmlu", VARIANTS),
        data="the authors' data.tar (hendrycks/test) unpacked, or the same files as mmlu.zip, or "
        "cais/mmlu of the hub",
        layouts=(
            DataLayout("MMLU test, mmlu.zip", ("mmlu.zip",), _zipped),
            DataLayout("MMLU test, CSV files", ("data/test/*_test.csv",), _unpacked),
            hub_layout("MMLU test", "all/test-*.parquet", _hub_problem),
        ),
        published=table_4(88.3, 87.2, 88.5, 85.2, 90.8, o1=91.8) | stages(88.8, 89.1, 91.2, 91.0),
    )
)
