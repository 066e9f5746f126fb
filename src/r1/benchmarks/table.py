"""A benchmark of your own as a TOML table over JSON lines.

    name = "capitals"
    data = "capitals.jsonl"                         # beside this file
    prompt = "What is the capital of {country}? Put it within \\\\boxed{}."
    answer = "capital"                              # the column with the gold answer
    verifier = "exact"
    k = 4

    r1 bench run MODEL capitals.toml

{column} stands for a column's value, {options} for the lettered options; other braces stay. A row
whose prompt or answer is missing is refused by name, as with the other benchmarks. The columns that
the verifier reads (exact's aliases, numeric's rel_tol, the tests of code) reach it by their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from r1.benchmarks.prompts import option_lines
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, text_of
from r1.benchmarks.rows import json_lines
from r1.config import Settings, read_toml, validate
from r1.data.rows import RowError, shown
from r1.errors import UserError
from r1.rewards.columns import needs_reference, plain_metadata
from r1.rewards.settings import AnswerSource
from r1.types import Problem

_PLACE = re.compile(r"\{(\w+)\}")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_NO_VERDICT = {
    "judge": "it asks a language model, which a benchmark of your own has not",
    "afterwards": "it leaves the verdict to a judge, which a benchmark of your own has not",
    "none": "it gives no verdict",
}
"""Verifiers by which nothing could be scored here, and why."""


class BenchmarkTable(Settings):
    """A benchmark of your own: rows of JSON lines, and how they are asked and judged."""

    name: str = Field(description="its name, and that of its folder of results")
    title: str = Field("", description="its name in tables; by default the same")
    measures: str = Field("your own", description="what it measures, in a few words")
    data: str = Field(description="file of JSON lines, relative to this one")
    prompt: str = Field(description="the question, with {column} for a column's value")
    answer: str = Field("answer", description="column with the gold answer")
    options: str | None = Field(
        None, description="column with a list of options; then the answer is a letter"
    )
    family: str | None = Field(None, description="column with the kind of question, for parts")
    verifier: str = Field("math", description="how an answer is judged: math, exact, letter, …")
    answer_from: AnswerSource = Field(
        "boxed", description="where the answer is read, as rewards.answer_from"
    )
    k: int = Field(1, ge=1, description="samples of each question")
    metric: Literal["accuracy", "f1"] = Field(
        "accuracy", description='"f1" counts the partial credit that the verifier gives'
    )

    @field_validator("prompt")
    @classmethod
    def _asks_of_the_row(cls, prompt: str) -> str:
        if not _PLACE.search(prompt):
            raise ValueError(
                "it names no column, so that every question is the same; write {column} where a "
                "column's value belongs"
            )
        return prompt

    @field_validator("verifier")
    @classmethod
    def _gives_a_verdict(cls, verifier: str) -> str:
        if reason := _NO_VERDICT.get(verifier):
            raise ValueError(
                f"{reason}; give one that compares with the gold answer: math, exact, numeric, "
                "choice, letter, …"
            )
        return verifier

    @field_validator("name")
    @classmethod
    def _is_a_folder(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a name has letters, digits, dots, dashes and underscores alone")
        return name


def read_table(path: Path) -> Benchmark:
    """Return the benchmark of a TOML file.

    Raises UserError for a missing or malformed file, a recipe or a claim, an unknown key or an
    impossible value.
    """
    values = read_toml(path)
    if values.keys() >= {"says", "compare"}:
        raise UserError(f"{path} is a claim and no benchmark; r1 reproduce {path} runs it.")
    if values.keys() & {"model", "stages", "num_steps"}:
        raise UserError(f"{path} is a recipe and no benchmark; r1 run {path} runs it.")
    table = validate(values, BenchmarkTable, str(path))
    data = path.resolve().parent / table.data
    if not data.is_file():
        raise UserError(f"{path}: data = {table.data!r} is no file beside it; correct the path.")
    layout = DataLayout(data.name, (data.name,), partial(_read, table))
    with_options = " and {options}" if table.options else ""
    return Benchmark(
        name=table.name,
        title=table.title or table.name,
        measures=table.measures,
        num_questions=sum(1 for _ in json_lines(data)),
        k=table.k,
        protocol=f"{path.name}: its prompt{with_options}; {table.verifier}, {table.answer_from}",
        data=f"{path.name}, {table.data}",
        layouts=(layout,),
        metric=table.metric,
        parts=("family",) if table.family else (),
        lies_in=str(data.parent),
    )


def is_table(path: Path) -> bool:
    """Whether a file seems to be a benchmark of the user's own."""
    return (
        path.suffix == ".toml" and path.is_file() and isinstance(read_toml(path).get("data"), str)
    )


def _read(table: BenchmarkTable, paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), partial(_problem, table))


def _problem(table: BenchmarkTable, where: str, row: Mapping[str, Any]) -> Problem:
    read = plain_metadata(table.verifier, row)
    metadata: dict[str, Any] = {**read, "answer_from": table.answer_from}
    values = dict(row)
    if table.options is not None:
        metadata["options"] = _options(row.get(table.options))
        values["options"] = option_lines(metadata["options"])
    family = str(row.get(table.family)) if table.family else "default"
    if table.family:
        metadata["family"] = family
    prompt = _PLACE.sub(lambda found: _text(values, found[1]), table.prompt)
    is_there = row.get(table.answer) is not None or needs_reference(table.verifier)
    answer = _text(row, table.answer) if is_there else None
    identity = f"{table.name}/{where}"
    return Problem(identity, prompt, answer, table.verifier, family=family, metadata=metadata)


def _options(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise RowError(f"the options are {shown(value)}; they must be a list of texts")
    return list(value)


def _text(row: Mapping[str, Any], column: str) -> str:
    """A column's text; a number is written as JSON writes it. Raises RowError."""
    value = row.get(column)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return text_of(row, column)
