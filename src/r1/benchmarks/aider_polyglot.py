"""Aider polyglot: 225 Exercism tasks in six languages, by edits, with a second try.

The figure is pass_rate_2: the share whose tests pass by the second try. `exercism_python` is
Aider's older benchmark of 133 Python tasks, run the same way. NAME@whole asks for whole files in
place of edits, Aider's other format; the paper does not say which it used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1.benchmarks.protocol import Benchmark, DataLayout, Item, Refused, stages, table_4
from r1.benchmarks.registry import find_benchmark, register_benchmark
from r1.errors import UserError
from r1.types import Problem

if TYPE_CHECKING:
    from r1.agents.ask import AskModel
    from r1.edits.apply import EditFormat

_PROTOCOL = "two tries: {}, the tests' output before the second; all tests pass at last"
_EDITS, _WHOLE = "SEARCH/REPLACE edits", "whole files"


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    from r1.agents.polyglot.exercise import LANGUAGES, read_exercise

    for config in paths[0]:
        folder = config.parents[1]
        language = folder.parents[2].name
        language = language if language in LANGUAGES else "python"
        try:
            exercise = read_exercise(folder, language)
        except UserError as fault:
            yield Refused(folder.name, str(fault))
            continue
        place = {"folder": str(folder), "language": language}
        yield Problem(exercise.id, exercise.instructions, None, "tests", metadata=place)


def _converse(
    form: EditFormat, ask: AskModel, problems: list[Problem], folder: Path, model: str
) -> dict[str, Any]:
    from r1.agents.polyglot.measure import measure_exercises

    sources = {p.id: (p.metadata["folder"], p.metadata["language"]) for p in problems}
    return measure_exercises(sources, ask, folder, form)


def _vary(name: str, variant: str) -> Benchmark:
    if variant != "whole":
        raise UserError(f"{name} has no variant {variant!r}; there is: {name}@whole.")
    own = find_benchmark(name)
    return replace(
        own,
        name=f"{name}@whole",
        title=f"{own.title}, whole files",
        protocol=_PROTOCOL.format(_WHOLE),
        published={},
        vary=None,
        converse=partial(_converse, "whole"),
    )


register_benchmark(
    Benchmark(
        name="aider_polyglot",
        title="Aider polyglot",
        measures="edits of files, in six languages",
        num_questions=225,
        k=1,
        protocol=_PROTOCOL.format(_EDITS),
        data="Aider-AI/polyglot-benchmark, LANGUAGE/exercises/practice",
        needs="a sandbox, compilers",
        layouts=(DataLayout("polyglot", ("*/exercises/practice/*/.meta/config.json",), _read),),
        published=table_4(45.3, 16.0, 49.6, 32.9, 53.3, o1=61.7) | stages(12.2, 6.7, 25.6, 44.8),
        converse=partial(_converse, "diff"),
        vary=partial(_vary, "aider_polyglot"),
    )
)
register_benchmark(
    Benchmark(
        name="exercism_python",
        title="Aider edit (Python)",
        measures="edits of Python files",
        num_questions=133,
        k=1,
        protocol=_PROTOCOL.format(_EDITS),
        data="exercism/python, exercises/practice",
        needs="a sandbox",
        layouts=(
            DataLayout("Exercism, Python", ("exercises/practice/*/.meta/config.json",), _read),
        ),
        converse=partial(_converse, "diff"),
        vary=partial(_vary, "exercism_python"),
    )
)
