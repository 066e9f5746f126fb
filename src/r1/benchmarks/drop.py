"""DROP: reading with arithmetic over paragraphs (Dua et al. 2019); F1, the best gold counts.

Three examples stand before each question, drawn from the training file by one running
`random.Random(42)` as in simple-evals. Without a training file the questions are asked zero-shot,
and the result says so. Gold answers are the first annotation and the validated ones: a number, a
date ("day month year") or one or more spans, in a prediction separated by ";". The hub's
EleutherAI/drop is read; its ucinlp/drop is not, as it keeps parts and alternatives in one list.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
from r1.benchmarks.rows import hub_rows, parsed_json
from r1.benchmarks.variants import Variant, read_by, vary
from r1.data.rows import RowError, shown
from r1.types import Problem

NUM_EXAMPLES = 3
_ASK = (
    "Read the passage and answer the question about it. Think step by step. The last line of your "
    'response must read "Answer: X", where X is a number, a date, or words of the passage; '
    'separate several parts by ";".'
)


class _Question(NamedTuple):
    passage: str
    question: str
    golds: list[list[str]]

    def shown(self) -> str:
        return f"Passage: {self.passage}\nQuestion: {self.question}"


def _rows(path: Path) -> Iterator[Row]:
    """The questions of a file, official or the hub's, each with its passage."""
    if path.suffix == ".parquet":
        yield from hub_rows([path])
        return
    try:
        passages = parsed_json(path)
    except RowError as fault:
        yield path.stem, fault
        return
    if not isinstance(passages, dict):
        yield path.stem, RowError("a DROP file is one object of passages")
        return
    for name, passage in passages.items():
        pairs = passage.get("qa_pairs") if isinstance(passage, dict) else None
        if not isinstance(pairs, list):
            yield f"{path.stem}:{name}", RowError("the passage has no list qa_pairs")
            continue
        for number, pair in enumerate(pairs):
            where = f"{path.stem}:{name}:{number}"
            if isinstance(pair, dict):
                yield where, {**pair, "passage": passage.get("passage")}
            else:
                yield where, RowError(f"the question is {shown(pair)}")


def _question(row: Mapping[str, Any]) -> _Question:
    further = row.get("validated_answers") or []
    if isinstance(further, dict):  # the hub's: a list a key
        columns = [further.get(key) or [] for key in ("number", "date", "spans")]
        further = [
            dict(zip(("number", "date", "spans"), each, strict=True))
            for each in zip(*columns, strict=False)
        ]
    answers = [row.get("answer"), *(further if isinstance(further, list) else [])]
    golds = [gold for answer in answers if (gold := _spans(answer))]
    if not _spans(row.get("answer")):
        raise RowError(f"answer is {shown(row.get('answer'))}; it holds no answer")
    unique = [list(gold) for gold in dict.fromkeys(tuple(gold) for gold in golds)]
    return _Question(text_of(row, "passage"), text_of(row, "question"), unique)


def _spans(answer: object) -> list[str]:
    """The one kind of answer that is not empty: a number, spans, or a date."""
    if not isinstance(answer, dict):
        return []
    if number := str(answer.get("number") or "").strip():
        return [number]
    spans = answer.get("spans")
    if isinstance(spans, list) and spans:
        return [str(span) for span in spans]
    date = answer.get("date")
    parts = [str(date.get(part) or "") for part in ("day", "month", "year")] if date else []
    return [" ".join(part for part in parts if part)] if any(parts) else []


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    """paths: the file of the questions, then, where there are examples, that of the training."""
    examples: list[_Question] = []
    for _, row in (row for part in paths[1:] for path in part for row in _rows(path)):
        try:
            if not isinstance(row, RowError):
                examples.append(_question(row))
        except RowError:
            continue  # a training question without an answer is no example
    if len(paths) > 1 and len(examples) < NUM_EXAMPLES:
        yield Refused(paths[1][0].stem, f"fewer than {NUM_EXAMPLES} examples")
        return
    generator = random.Random(42)

    def problem(where: str, row: Mapping[str, Any]) -> Problem:
        asked = _question(row)
        drawn = generator.sample(examples, NUM_EXAMPLES) if examples else []
        reference = " | ".join("; ".join(gold) for gold in asked.golds)
        metadata = {"golds": asked.golds, "answer_from": "last_line"}
        prompt = _prompt(drawn, asked)
        return Problem(f"drop/{where}", prompt, reference, "drop", metadata=metadata)

    yield from items((row for path in paths[0] for row in _rows(path)), problem)


def _prompt(examples: Sequence[_Question], asked: _Question) -> str:
    shown_examples = [f"{e.shown()}\nAnswer: {'; '.join(e.golds[0])}" for e in examples]
    return "\n\n---\n\n".join([_ASK, *shown_examples, asked.shown()])


def _as_it_stands(problem: Problem) -> Problem:
    """As lm-evaluation-harness asks: the passage and the question alone."""
    asked = problem.prompt.rpartition("Passage: ")[2]
    return read_by("first-sentence", replace(problem, prompt=asked.replace("\nQuestion: ", "\n\n")))


VARIANTS = {
    "simple-evals": Variant(
        'simple-evals: steps, then "Answer: X"; the first such line, else the whole response; F1',
        partial(read_by, "simple-evals-line"),
    ),
    "lm-evaluation-harness": Variant(
        "lm-evaluation-harness: passage and question alone; all up to the first full stop; F1",
        _as_it_stands,
    ),
}

register_benchmark(
    Benchmark(
        name="drop",
        title="DROP",
        measures="reading and counting",
        num_questions=9536,
        k=1,
        metric="f1",
        protocol='last line: steps, then "Answer: X"; F1, the best of the golds',
        vary=partial(vary, "drop", VARIANTS),
        data="the official drop_dataset_dev.json and drop_dataset_train.json, or EleutherAI/drop "
        "as the hub's Parquet",
        layouts=(
            DataLayout("dev, 3-shot", ("drop_dataset_dev.json", "drop_dataset_train.json"), _read),
            DataLayout("dev, zero-shot (no training file)", ("drop_dataset_dev.json",), _read),
            DataLayout(
                "dev, 3-shot, the hub's Parquet",
                ("**/validation-*.parquet", "**/train-*.parquet"),
                _read,
            ),
            DataLayout(
                "a fixture, zero-shot (not dev)", ("drop_fixture.json",), _read, of_paper=False
            ),
        ),
        published=table_4(88.3, 83.7, 91.6, 83.9, 92.2, o1=90.2) | stages(89.1, 89.8, 91.1, 88.7),
    )
)
