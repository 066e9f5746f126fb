"""GPQA Diamond: 198 graduate questions of biology, physics and chemistry (Rein et al. 2023).

The options' order is simple-evals': one generator, `random.Random(0)`, draws `sample(range(4), 4)`
for each row in turn. Another order moves a score by 1.5 points. There the k repeats of a question
have k orders; here its k samples share the first, since they share a prompt.

The questions must not stand in plain text on the internet: no command prints them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import letter_problem, question_of_letters
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
from r1.benchmarks.rows import csv_files
from r1.benchmarks.variants import LENIENT_LETTER, Variant, read_by, vary
from r1.rewards.choice import LETTERS
from r1.types import Problem

COLUMNS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
"""In the order that the drawn indices mean."""


def option_orders(num_rows: int) -> list[list[int]]:
    """Simple-evals' order of the options of each row: place p holds column order[p]."""
    generator = random.Random(0)
    return [generator.sample(range(4), 4) for _ in range(num_rows)]


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    rows = list(csv_files(paths[0]))
    orders = dict(zip((where for where, _ in rows), option_orders(len(rows)), strict=True))

    def problem(where: str, row: Mapping[str, Any]) -> Problem:
        order = orders[where]
        options = [text_of(row, COLUMNS[place]) for place in order]
        return letter_problem(
            f"gpqa/{where}",
            text_of(row, "Question"),
            options,
            LETTERS[order.index(0)],
            str(row.get("High-level domain") or "default"),
            marker="ANSWER",
        )

    return items(rows, problem)


def _bracketed(problem: Problem) -> Problem:
    """As lm-evaluation-harness asks for steps without a sample: no form is asked for."""
    pairs = zip(LETTERS, problem.metadata["options"], strict=False)
    options = "\n".join(f"({letter}) {option}" for letter, option in pairs)
    question = question_of_letters(problem)
    prompt = f"Which option is right?\n\n{question}\n\n{options}\n\nThink step by step."
    return read_by("last-bracketed", replace(problem, prompt=prompt))


VARIANTS = {
    "simple-evals": Variant(
        'simple-evals: steps, then "Answer: X"; the first such letter',
        partial(read_by, "simple-evals-gpqa"),
    ),
    "lm-evaluation-harness": Variant(
        "lm-evaluation-harness, zero-shot with steps: the last letter in brackets (its flexible "
        "reading); options in simple-evals' order, there in any",
        _bracketed,
    ),
    "lenient": LENIENT_LETTER,
}

register_benchmark(
    Benchmark(
        name="gpqa",
        title="GPQA Diamond",
        measures="graduate science",
        num_questions=198,
        k=64,
        protocol='marker: steps, then "ANSWER: X"; options in simple-evals\' order, seed 0',
        vary=partial(vary, "gpqa", VARIANTS),
        data="Idavidrein/gpqa, gpqa_diamond.csv (gated: accept its terms first)",
        public=False,
        layouts=(DataLayout("GPQA Diamond", ("gpqa_diamond.csv",), _read),),
        published=table_4(65.0, 49.9, 59.1, 60.0, 71.5, o1=75.7)
        | stages(75.8, 66.1, 70.7, 71.2)
        | distilled(33.8, 49.1, 59.1, 62.1, (49.0, 65.2)),
    )
)
