"""Aider polyglot: 225 Exercism tasks in six languages, by edits, with a second try.

The figure is pass_rate_2: the share whose tests pass by the second try. `exercism_python` is
Aider's older benchmark of 133 Python tasks, run the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1.benchmarks.protocol import Benchmark, DataLayout, Item, Refused, stages
from r1.benchmarks.registry import register_benchmark
from r1.errors import UserError
from r1.types import Problem

if TYPE_CHECKING:
    from r1.agents.ask import AskModel

_PROTOCOL = (
    "two tries: SEARCH/REPLACE edits, the tests' output before the second; all tests pass at last"
)


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


def _converse(ask: AskModel, problems: list[Problem], folder: Path) -> dict[str, Any]:
    from r1.agents.polyglot.measure import measure_exercises

    sources = {p.id: (p.metadata["folder"], p.metadata["language"]) for p in problems}
    return measure_exercises(sources, ask, folder)


register_benchmark(
    Benchmark(
        name="aider_polyglot",
        title="Aider polyglot",
        measures="edits of files, in six languages",
        num_questions=225,
        k=1,
        protocol=_PROTOCOL,
        data="Aider-AI/polyglot-benchmark, LANGUAGE/exercises/practice",
        needs="a sandbox, compilers",
        layouts=(DataLayout("polyglot", ("*/exercises/practice/*/.meta/config.json",), _read),),
        published={"DeepSeek-V3": 49.6, "R1": 53.3} | stages(12.2, 6.7, 25.6, 44.8),
        converse=_converse,
    )
)
register_benchmark(
    Benchmark(
        name="exercism_python",
        title="Aider edit (Python)",
        measures="edits of Python files",
        num_questions=133,
        k=1,
        protocol=_PROTOCOL,
        data="exercism/python, exercises/practice",
        needs="a sandbox",
        layouts=(
            DataLayout("Exercism, Python", ("exercises/practice/*/.meta/config.json",), _read),
        ),
        converse=_converse,
    )
)
