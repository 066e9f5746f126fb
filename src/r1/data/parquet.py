"""Problems from Parquet: one file, or every *.parquet of a folder in the order of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from r1.data.rows import Table, find_data, needed_columns, problems_from_rows, require_file
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.files import parquet


def load(settings: SourceSettings, base_folder: Path) -> Table:
    """Read settings.path, only the columns that are needed.

    Raises UserError for a missing or unreadable file, no rows, a missing column or faulty rows.
    """
    assert settings.path is not None
    path = find_data(settings.path, base_folder)
    rows = read_rows(path, lambda names: needed_columns(settings, names))
    table = problems_from_rows(rows, settings, str(path))
    if not table.problems:
        raise UserError(f"{path} has no rows; give at least one problem.")
    return table


def read_rows(
    path: Path, choose: Callable[[list[str]], list[str]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, columns) of a file or a folder's files, numbered through from 1.

    choose: given the names of a file's columns, those to read.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds no .parquet file; check data.*.path in the recipe.")
    number = 0
    for path in files:
        require_file(path)
        for row in parquet.read_rows(path, choose):
            number += 1
            yield number, row
