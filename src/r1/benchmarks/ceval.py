"""C-Eval: Chinese examinations of 52 subjects (Huang et al. 2023).

The test split's answers are on the authors' server alone, so the validation split is asked: 1,346
questions. The paper does not say which it used. The score is the mean over questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import CHINESE_LAST_LINE, chinese_letter_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_files, hub_rows, parsed_json
from r1.data.rows import RowError
from r1.errors import UserError
from r1.types import Problem


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    try:
        names = parsed_json(paths[1][0]) if len(paths) > 1 else {}
    except RowError as fault:
        raise UserError(f"{paths[1][0]}: {fault}; fetch it again.") from None
    chinese = names if isinstance(names, dict) else {}

    def problem(where: str, row: Mapping[str, Any]) -> Problem:
        subject = where.partition(":")[0].removesuffix("_val")
        told = chinese.get(subject)
        return chinese_letter_problem(
            f"ceval/{where}",
            text_of(row, "question"),
            [text_of(row, letter) for letter in "ABCD"],
            text_of(row, "answer"),
            subject,
            str(told[1]) if isinstance(told, list) and len(told) > 1 else "",
        )

    packed = paths[0][0].suffix == ".parquet"
    return items(hub_rows(paths[0]) if packed else csv_files(paths[0]), problem)


register_benchmark(
    Benchmark(
        name="ceval",
        title="C-Eval",
        measures="Chinese knowledge, 52 subjects",
        num_questions=1346,
        k=1,
        protocol=CHINESE_LAST_LINE,
        data="ceval/ceval-exam (ceval-exam.zip: val/*_val.csv, or the hub's Parquet) and "
        "subject_mapping.json",
        layouts=(
            DataLayout("validation split", ("val/*_val.csv", "subject_mapping.json"), _read),
            DataLayout("validation split, subjects unnamed", ("val/*_val.csv",), _read),
            DataLayout(
                "validation split, the hub's Parquet",
                ("*/val-*.parquet", "subject_mapping.json"),
                _read,
            ),
            DataLayout(
                "validation split, the hub's Parquet, subjects unnamed", ("*/val-*.parquet",), _read
            ),
        ),
        published=table_4(76.7, 76.0, 86.5, 68.9, 91.8) | stages(92.8, 85.7, 91.9, 86.4),
    )
)
