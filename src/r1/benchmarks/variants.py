"""Variants of benchmarks, so that other harnesses' figures can be compared.

    NAME@simple-evals               asks and reads as simple-evals does; mathematics is compared by
                                    symbolic equality, there by a judge
    NAME@lm-evaluation-harness      asks and reads as that harness's generating task does
    NAME@lenient                    asks as the paper does, and reads what is stated last where the
                                    form is not kept: for models that neither think nor keep to it

A benchmark's file says which it has. All but the lenient ones are for comparing: where they read is
`r1.rewards.harness_answers`. A variant changes questions and reading alone, not sampling: T, limit
and k stay the paper's unless they are given. It has a folder of results of its own and stands
beside none of the paper's figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from r1.benchmarks.prompts import question_of
from r1.benchmarks.protocol import Benchmark, DataLayout, Item
from r1.benchmarks.registry import find_benchmark
from r1.errors import UserError
from r1.types import Problem

_LAST_LINE = (
    "Solve the following problem step by step. The last line of your response must read "
    '"Answer: X" without the quotes, where X is the answer to the problem.'
)


class Variant(NamedTuple):
    """How a variant differs. change: one of the benchmark's problems; layouts: how its files are
    read, where that is not the benchmark's own way."""

    protocol: str
    change: Callable[[Problem], Problem] = lambda problem: problem
    layouts: tuple[DataLayout, ...] = ()


def read_by(source: str, problem: Problem) -> Problem:
    """Return the problem with its answer read elsewhere. source: an `answer_from`."""
    return replace(problem, metadata={**problem.metadata, "answer_from": source})


def _simple_evals(problem: Problem) -> Problem:
    prompt = f"{_LAST_LINE}\n\n{question_of(problem)}"
    return replace(problem, prompt=prompt, metadata={"answer_from": "last_line"})


MATH: Mapping[str, Variant] = {
    "simple-evals": Variant(
        'simple-evals: a last line "Answer: X"; symbolic equality', _simple_evals
    ),
    "lenient": Variant(
        "boxed, else what is stated last; symbolic equality", partial(read_by, "stated")
    ),
}
"""Of benchmarks whose problems are `prompts.math_problem`s."""

LENIENT_LETTER = Variant("last line, else what is stated last", partial(read_by, "stated"))


def vary(name: str, variants: Mapping[str, Variant], variant: str) -> Benchmark:
    """Return a benchmark's variant. Raises UserError for one that there is not."""
    if variant not in variants:
        there = ", ".join(f"{name}@{each}" for each in variants)
        raise UserError(f"{name} has no variant {variant!r}; there are: {there}.")
    protocol, change, layouts = variants[variant]
    benchmark = find_benchmark(name)
    return replace(
        benchmark,
        name=f"{name}@{variant}",
        title=f"{benchmark.title}, {variant}",
        protocol=protocol,
        layouts=tuple(_changed(layout, change) for layout in layouts or benchmark.layouts),
        published={},
        vary=None,
    )


def _changed(layout: DataLayout, change: Callable[[Problem], Problem]) -> DataLayout:
    return layout._replace(read=partial(_read, layout, change))


def _read(
    layout: DataLayout, change: Callable[[Problem], Problem], paths: list[list[Path]]
) -> Iterator[Item]:
    for item in layout.read(paths):
        yield change(item) if isinstance(item, Problem) else item
