"""Print the paper's table 4 whole: its figures, each model's beside them, and every row's state.

A model's score is marked where it is told apart from R1's (r1.benchmarks.running.against), judged
ones excepted: another judge moves them by more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.benchmarks.page.contests import CODEFORCES, CONTEST_ROWS
from r1.benchmarks.page.order import GROUPS, TABLE_4, grouped
from r1.benchmarks.page.results import (
    ModelResults,
    Row,
    is_another_set,
    read_models,
    rows_of,
)
from r1.benchmarks.protocol import Benchmark, find
from r1.benchmarks.registry import benchmarks
from r1.benchmarks.running.against import LEGEND

_HEADS = dict(zip(TABLE_4, ("Claude", "GPT-4o", "V3", "o1-mini", "o1", "R1"), strict=True))


def show_beside(console: Console, folders: Sequence[Path], data: Path | None = None) -> None:
    """Print a row a benchmark: the paper's columns, each model's score, and what the row needs.

    data: the folder of the data, where those of benchmarks that were not run are looked for. Raises
    UserError where a folder holds no result.
    """
    models = read_models(folders)
    measured, known = rows_of(models), benchmarks()
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("benchmark", no_wrap=True)
    for name in (*_HEADS.values(), *(model.title for model in models)):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("state")
    for group, names in grouped([*(name for part in GROUPS.values() for name in part), *measured]):
        table.add_row(Text(group, style="italic"))
        for name in names:
            results = [model.results.get(name) for model in models]
            state = _state(results, known.get(name), data)
            if name == CODEFORCES:
                _add_contests(table, results, state)
                continue
            title = measured[name].title if name in measured else known[name].title
            published = measured[name].published if name in measured else known[name].published
            own = [_score(result, measured.get(name)) for result in results]
            table.add_row(f" {title}", *_shown(published), *own, state)
    console.print(Text("The paper's table 4, in per cent; ratings as they are"))
    console.print(table)
    if any(row.mark(model.results.get(row.name)) for row in measured.values() for model in models):
        console.print(Text(LEGEND), soft_wrap=True)
    console.print(Text(_count(models, data)), soft_wrap=True)


def _add_contests(table: Table, results: Sequence[Mapping[str, Any] | None], state: str) -> None:
    for row in CONTEST_ROWS:
        own = [_number(row.value(result), row.places) for result in results]
        table.add_row(f" {row.title}", *_shown(row.published, row.places), *own, state)


def _score(result: Mapping[str, Any] | None, row: Row | None) -> str:
    """A model's score in per cent, with its mark."""
    score = None if row is None else row.score(result)
    if row is None or score is None:
        return "-"
    return _number(100 * score["value"]) + row.mark(result)


def _shown(published: Mapping[str, float], places: int = 1) -> list[str]:
    return [_number(published.get(column), places) for column in TABLE_4]


def _number(value: float | None, places: int = 1) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _state(
    results: Sequence[Mapping[str, Any] | None], benchmark: Benchmark | None, data: Path | None
) -> str:
    """Whether a row was run, on how much of it; else what it takes."""
    there = [result for result in results if result is not None]
    if there:
        parts = {
            f"{r['num_questions']:,} of {r['num_found']:,} questions"
            for r in there
            if r["num_questions"] < r["num_found"]
        }
        others = {
            r["layout"] for r in there if benchmark and is_another_set(benchmark, r["layout"])
        }
        sets = [f"another set: {layout}" for layout in sorted(others)]
        first = ["run here"] if len(others) < len({r["layout"] for r in there}) else []
        return "; ".join([*first, *sets, *sorted(parts)])
    assert benchmark is not None, "a row that was not measured is a registered benchmark's"
    needs = "a judge" if benchmark.judging else benchmark.needs
    parts = {f"needs {needs}"} if needs else set()
    if data is not None:
        parts.add("data found" if find(benchmark, data) else "data missing")
    return "; ".join(["not run", *sorted(parts, reverse=True)])


def _is_of_paper(result: Mapping[str, Any] | None, name: str) -> bool:
    """Whether a row of the paper's was run, on its own set."""
    return result is not None and not is_another_set(benchmarks()[name], result["layout"])


def _count(models: Sequence[ModelResults], data: Path | None) -> str:
    rows = [name for names in GROUPS.values() for name in names]
    rows += [CODEFORCES] * (len(CONTEST_ROWS) - 1)
    there = sum(
        any(_is_of_paper(model.results.get(name), name) for model in models) for name in rows
    )
    told = f"{there} of the table's {len(rows)} rows were run here."
    return told if data is not None else f"{told} --data FOLDER also looks for their data."
