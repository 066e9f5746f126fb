"""SimpleQA: 4,326 short questions with one undisputed answer (Wei et al. 2024); a judge grades.

The question is asked as it stands. The judge sees question, gold answer and summary, and says
correct, incorrect or not attempted. Its instructions are in our own words and its reply is JSON;
the original's is a letter that is searched for in the reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1.benchmarks.judging.graded import grading, three_way_task
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_rows
from r1.files.regular import read_bytes
from r1.types import Problem

_INSTRUCTIONS = (
    "Grade an answer to a question of fact. The reference is the truth.\n"
    '- "correct": the answer holds everything that the reference says, and contradicts it nowhere. '
    "Other words, order, language or case, and typing errors in a name that still names the same, "
    "do not matter. Doubt that is voiced does not matter if the reference is fully given.\n"
    '- "incorrect": something in the answer contradicts the reference, also where doubt is voiced, '
    "and also where the right answer stands beside a wrong one.\n"
    '- "not attempted": nothing contradicts the reference, but what it says is not fully given: '
    "the answer declines, says that it does not know, or gives a part.\n"
    "- A number is correct if it agrees with the reference to the reference's last significant "
    "digit; a range or an approximation that leaves the reference open is not attempted.\n"
    "- Only what the question asks for has to be in the answer, even where the reference says "
    "more. What the question makes plain need not be repeated."
)


def _problem(where: str, row: Mapping[str, Any]) -> Problem:
    question, answer = text_of(row, "problem"), text_of(row, "answer")
    return Problem(f"simpleqa/{where}", question, answer, "afterwards")


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(csv_rows("test", read_bytes(paths[0][0]), origin=str(paths[0][0])), _problem)


register_benchmark(
    Benchmark(
        name="simpleqa",
        title="SimpleQA",
        measures="facts, short",
        num_questions=4326,
        k=1,
        protocol="the bare question; a judge grades: correct, incorrect, not attempted",
        data="openai/simple-evals as simple_qa_test_set.csv (metadata, problem, answer)",
        layouts=(DataLayout("SimpleQA", ("simple_qa_test_set.csv",), _read),),
        metric="judged",
        judging=grading(three_way_task(_INSTRUCTIONS)),
        published=table_4(28.4, 38.2, 24.9, 7.0, 30.1, o1=47.0) | stages(30.3, 17.8, 28.2, 24.9),
    )
)
