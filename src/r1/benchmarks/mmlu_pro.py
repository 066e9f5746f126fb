"""MMLU-Pro: 12,032 questions of 14 categories, three to ten options (Wang et al. 2024).

Zero-shot, as in the paper. The authors' script draws a random option where it can read none, worth
about a point to a model that fails to answer one question in ten; here such a response is
unreadable, and counted so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import LAST_LINE, letter_problem
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.data.rows import RowError, shown
from r1.rewards.choice import LETTERS
from r1.types import Problem


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    options, letter = row.get("options"), text_of(row, "answer")
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise RowError(f"options is {shown(options)}; it must be a list of texts")
    if letter not in LETTERS or LETTERS.index(letter) != row.get("answer_index"):
        raise RowError(f"answer {letter!r} and answer_index {row.get('answer_index')!r} differ")
    gold = options[LETTERS.index(letter)] if LETTERS.index(letter) < len(options) else "N/A"
    if gold == "N/A":
        raise RowError(f"answer {letter!r} is no option")
    kept = [option for option in options if option != "N/A"]  # padding
    return letter_problem(
        f"mmlu_pro/{row.get('question_id')}",
        text_of(row, "question"),
        kept,
        LETTERS[LETTERS.index(letter) - options[: LETTERS.index(letter)].count("N/A")],
        str(row.get("category") or "default"),
    )


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(chain.from_iterable(json_lines(path) for path in paths[0]), _problem)


register_benchmark(
    Benchmark(
        name="mmlu_pro",
        title="MMLU-Pro",
        measures="knowledge and reasoning, 14 categories",
        num_questions=12_032,
        k=1,
        protocol=LAST_LINE,
        data="TIGER-Lab/MMLU-Pro, split test as test.jsonl (question, options, answer, ...)",
        layouts=(
            DataLayout("MMLU-Pro test", ("test.jsonl",), _read),
            DataLayout("a sample of MMLU-Pro test", ("test_sample.jsonl",), _read),
        ),
        published=table_4(78.0, 72.6, 75.9, 80.3, 84.0) | stages(68.9, 74.1, 83.8, 83.1),
    )
)
