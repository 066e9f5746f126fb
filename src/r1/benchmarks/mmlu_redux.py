"""MMLU-Redux 2.0: 100 questions of each subject of MMLU, checked by people (Gema et al. 2024).

Read are the questions found without fault (`error_type` ok, 5,330 of 5,700); the others are refused
by their kind of error. The paper does not say which it used; other harnesses repair some.

The annotators' raw files are uneven: nine have ";" for a separator, one is Mac Roman, four have
other columns; the options are a Python list in most rows and JSON in the rest; the kinds of error
have 25 spellings.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import option_lines
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_files, hub_layout
from r1.data.rows import RowError, shown
from r1.files.json_text import FormatError, parse_json
from r1.rewards.choice import LETTERS
from r1.types import Problem

_ASK = (
    "Answer the multiple-choice question below. After thinking, respond with one JSON object and "
    'nothing else: {{"reasoning": "why, in short", "answer": "the letter of the option"}}\n\n'
    "{question}\n\n{options}"
)


def _options(text: object) -> list[str]:
    """A list of texts, as it is (the hub's), in JSON or in Python's notation. Raises RowError."""
    if isinstance(text, list):
        text = json.dumps(text)
    if not isinstance(text, str) or not text.strip():
        raise RowError(f"choices is {shown(text)}; it must be a list of texts")
    text = text.strip()
    try:
        value = parse_json(text)
    except FormatError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = None
    if not isinstance(value, list) or not all(isinstance(option, str) for option in value):
        raise RowError(f"choices is {shown(text)}; it must be a list of texts")
    return value


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    kind = text_of(row, "error_type").lower().replace("_", " ")
    if kind != "ok":
        raise RowError(f"error_type is {kind!r}")
    options, index = _options(row.get("choices")), str(row.get("answer")).strip()
    if not index.isascii() or not index.isdigit() or int(index) >= len(options):
        raise RowError(f"answer is {index!r}; it must be the index of an option")
    prompt = _ASK.format(question=text_of(row, "question"), options=option_lines(options))
    return Problem(
        f"mmlu_redux/{where}",
        prompt,
        LETTERS[int(index)],
        "letter",
        family=where.partition(":")[0].removeprefix("mmlu_").removesuffix("_test"),
        metadata={"options": options, "answer_from": "json"},
    )


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(csv_files(paths[0]), _problem)


register_benchmark(
    Benchmark(
        name="mmlu_redux",
        title="MMLU-Redux",
        measures="knowledge, checked questions",
        num_questions=5700,
        k=1,
        protocol='JSON: the letter in the field "answer"; rows of error type ok',
        data="aryopg/mmlu-redux, mmlu_redux/mmlu_*.csv, or edinburgh-dawg/mmlu-redux-2.0 of the "
        "hub",
        layouts=(
            DataLayout("MMLU-Redux 2.0, rows that are ok", ("mmlu_*.csv",), _read),
            hub_layout("MMLU-Redux 2.0, rows that are ok", "*/test-*.parquet", _problem),
        ),
        published=table_4(88.9, 88.0, 89.1, 86.7, 92.9) | stages(85.6, 90.0, 93.0, 93.1),
    )
)
