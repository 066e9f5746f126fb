"""MMLU-Pro: 12,032 questions of 14 categories, three to ten options (Wang et al. 2024).

Zero-shot, as in the paper. The authors' script draws a random option where it can read none, worth
about a point to a model that fails to answer one question in ten; here such a response is
unreadable, and counted so.

The variants of the authors and of lm-evaluation-harness show five worked examples of the question's
category, the first of the validation file, and read "the answer is (X)". Without that file they ask
without examples, and the result says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from r1.benchmarks.prompts import LAST_LINE, letter_problem, question_of_letters
from r1.benchmarks.protocol import (
    Benchmark,
    DataLayout,
    Item,
    Refused,
    Row,
    items,
    stages,
    table_4,
    text_of,
)
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import hub_rows, json_lines
from r1.benchmarks.variants import LENIENT_LETTER, Variant, read_by, vary
from r1.data.rows import RowError, shown
from r1.rewards.choice import LETTERS
from r1.types import Problem

NUM_EXAMPLES = 5
_BEGIN = "Let's think step by step."


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


def _rows(paths: Sequence[Path]) -> Iterator[Row]:
    if paths[0].suffix == ".parquet":
        return hub_rows(paths)
    return chain.from_iterable(json_lines(path) for path in paths)


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(_rows(paths[0]), _problem)


def _read_shots(source: str, paths: list[list[Path]]) -> Iterator[Item]:
    """source: where the answer is read. paths: the questions, then the validation file if any."""
    examples: dict[str, list[str]] = defaultdict(list)
    for _, row in _rows(paths[1]) if len(paths) > 1 else ():
        try:
            if isinstance(row, RowError):
                raise row
            solved = _problem("", row)
            steps = text_of(row, "cot_content").removeprefix("A: ")
        except RowError:
            continue  # a faulty row is no example
        examples[solved.family].append(f"{_shown(solved)} {steps}")
    for item in _read(paths[:1]):
        if isinstance(item, Problem):
            shots = examples.get(item.family, [])[:NUM_EXAMPLES]
            if examples and len(shots) < NUM_EXAMPLES:
                reason = f"fewer than {NUM_EXAMPLES} examples of the category {item.family!r}"
                item = Refused(item.id, reason)
            else:
                item = _asked(item, shots, source)
        yield item


def _asked(problem: Problem, shots: Sequence[str], source: str) -> Problem:
    ask = (
        f"Multiple choice questions about {problem.family}. Think step by step, then end with "
        '"the answer is (X)", where X is the letter of the right option.'
    )
    prompt = "\n\n".join([ask, *shots, f"{_shown(problem)} {_BEGIN}"])
    return read_by(source, replace(problem, prompt=prompt))


def _shown(problem: Problem) -> str:
    question, options = question_of_letters(problem), problem.metadata["options"]
    pairs = zip(LETTERS, options, strict=False)
    lines = "\n".join(f"{letter}. {option}" for letter, option in pairs)
    return f"Question:\n{question}\nOptions:\n{lines}\nAnswer:"


def _shot_layouts(source: str) -> tuple[DataLayout, ...]:
    read = partial(_read_shots, source)
    hub = ("data/test-*.parquet", "data/validation-*.parquet")
    return (
        DataLayout("MMLU-Pro test, 5-shot", ("test.jsonl", "validation.jsonl"), read),
        DataLayout("MMLU-Pro test, 5-shot, the hub's Parquet", hub, read),
        DataLayout("MMLU-Pro test, zero-shot (no validation file)", ("test.jsonl",), read),
        DataLayout("a sample of MMLU-Pro test, zero-shot", ("test_sample.jsonl",), read),
    )


VARIANTS = {
    "authors": Variant(
        'the authors\': five examples; "the answer is (X)", else "answer: X", else the last lone '
        "letter; no random option",
        layouts=_shot_layouts("mmlu-pro"),
    ),
    "lm-evaluation-harness": Variant(
        'lm-evaluation-harness: five examples; the first "answer is (X)"',
        layouts=_shot_layouts("answer-is"),
    ),
    "lenient": LENIENT_LETTER,
}


register_benchmark(
    Benchmark(
        name="mmlu_pro",
        title="MMLU-Pro",
        measures="knowledge and reasoning, 14 categories",
        num_questions=12_032,
        k=1,
        protocol=LAST_LINE,
        vary=partial(vary, "mmlu_pro", VARIANTS),
        data="TIGER-Lab/MMLU-Pro as it is, or split test as test.jsonl (question, options, answer, "
        "...)",
        layouts=(
            DataLayout("MMLU-Pro test", ("test.jsonl",), _read),
            DataLayout("MMLU-Pro test, the hub's Parquet", ("data/test-*.parquet",), _read),
            DataLayout("a sample of MMLU-Pro test", ("test_sample.jsonl",), _read, of_paper=False),
        ),
        published=table_4(78.0, 72.6, 75.9, 80.3, 84.0) | stages(68.9, 74.1, 83.8, 83.1),
    )
)
