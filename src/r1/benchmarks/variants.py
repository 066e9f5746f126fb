"""Variants of mathematics' benchmarks, so that other harnesses' figures can be compared.

    NAME@simple-evals   asks for a last line "Answer: X" and reads that; compared by symbolic
                        equality, there by a judge
    NAME@lenient        asks as the paper does, and reads what is stated last where there is no
                        box: for models that neither think nor keep to the form

A variant has a folder of results of its own and stands beside none of the paper's figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from r1.benchmarks.prompts import question_of
from r1.benchmarks.protocol import Benchmark, DataLayout, Item
from r1.benchmarks.registry import find_benchmark
from r1.errors import UserError
from r1.types import Problem

_LAST_LINE = (
    "Solve the following problem step by step. The last line of your response must read "
    '"Answer: X" without the quotes, where X is the answer to the problem.'
)


def _simple_evals(problem: Problem) -> Problem:
    prompt = f"{_LAST_LINE}\n\n{question_of(problem)}"
    return replace(problem, prompt=prompt, metadata={"answer_from": "last_line"})


def _lenient(problem: Problem) -> Problem:
    return replace(problem, metadata={"answer_from": "stated"})


_VARIANTS: dict[str, tuple[str, Callable[[Problem], Problem]]] = {
    "simple-evals": ('simple-evals: a last line "Answer: X"; symbolic equality', _simple_evals),
    "lenient": ("boxed, else what is stated last; symbolic equality", _lenient),
}


def math_variant(name: str, variant: str) -> Benchmark:
    """Return the variant of a benchmark whose problems are `prompts.math_problem`s.

    Raises UserError for a variant that there is not.
    """
    if variant not in _VARIANTS:
        there = ", ".join(f"{name}@{each}" for each in _VARIANTS)
        raise UserError(f"{name} has no variant {variant!r}; there are: {there}.")
    protocol, change = _VARIANTS[variant]
    benchmark = find_benchmark(name)
    return replace(
        benchmark,
        name=f"{name}@{variant}",
        title=f"{benchmark.title}, {variant}",
        protocol=protocol,
        layouts=tuple(_changed(layout, change) for layout in benchmark.layouts),
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
