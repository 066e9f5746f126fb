"""Print several models beside the paper's table 4, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.benchmarks.page.order import TABLE_4, grouped
from r1.benchmarks.page.results import read_models, rows_of


def show_beside(console: Console, folders: Sequence[Path]) -> None:
    """Print a row a benchmark: the paper's columns, then each model's score in per cent.

    Raises UserError where a folder holds no result.
    """
    models = read_models(folders)
    rows = rows_of(models)
    paper = [name for name in TABLE_4 if any(name in row.published for row in rows.values())]
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("benchmark", no_wrap=True)
    for name in (*paper, *(model.title for model in models)):
        table.add_column(name, justify="right", overflow="fold")
    for group, names in grouped(rows):
        table.add_row(Text(group, style="italic"))
        for name in names:
            row = rows[name]
            scores = [(model.results.get(name) or {}).get("score") for model in models]
            published = [row.published.get(column) for column in paper]
            own = [None if score is None else 100 * score["value"] for score in scores]
            shown = ("-" if value is None else f"{value:.1f}" for value in [*published, *own])
            table.add_row(f" {row.title}", *shown)
    console.print(Text("Beside the paper's table 4, in per cent"))
    console.print(table)
