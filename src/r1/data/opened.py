"""A source of rows, opened: what its columns are called, and its rows as often as they are asked.

One way for every kind, whether the rows become problems, examples or preferences. Rows are read one
after the other; a file is never whole in memory. Rows of JSON and of functions may lack optional
keys, the first row too, so that the columns are those of all rows: one pass more, over the names.

Left out on purpose: Parquet inside a zip archive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from r1.data import functions, huggingface, json_file, separated
from r1.data.folders import kind_of, split_files
from r1.data.places import archive_of, is_folder
from r1.data.rows import FaultyRows, RowError, Rows, find_data, refuse_half_characters, require_file
from r1.data.source_base import DataSource
from r1.errors import UserError
from r1.files import parquet

READERS: dict[str, Callable[[Path], Rows]] = {
    "jsonl": json_file.read_lines,
    "json": json_file.read_rows,
    "csv": separated.read_rows,
}
"""The files whose rows are read whole, by their kind."""

MAX_COLUMNS = 10_000
"""Different keys of a source's rows: more are no columns, and would fill the memory."""


class OpenedSource(NamedTuple):
    """origin: what messages call it; columns: of all its rows together; read: the rows with these
    columns, or with all. A row may lack a column that others have."""

    origin: str
    columns: list[str]
    read: Callable[[Sequence[str] | None], Rows]

    def sample(self, columns: Sequence[str]) -> dict[str, Any]:
        """These columns of the first row that can be read."""
        rows = (row for _, row in self.read(columns) if not isinstance(row, RowError))
        return {name: value for name, value in next(rows, {}).items() if name in columns}


def open_source(source: DataSource, base_folder: Path, what: str = "row") -> OpenedSource:
    """Open a source of any kind that has rows. what: its rows, for messages ("problem").

    Raises UserError for a source that is missing, unreadable or empty, and where not one of its
    rows can be read.
    """
    if source.kind == "python":
        rows = functions.rows_of(source, base_folder)
        return _of_rows(str(source.path), rows, what, source.limit)
    path = find_data(str(source.path), base_folder)
    if source.kind == "huggingface" and not (is_folder(path) and not huggingface.is_saved(path)):
        origin, split = huggingface.open_split(source, base_folder)

        def read_split(columns: Sequence[str] | None) -> Rows:
            chosen = split if columns is None else split.select_columns(list(columns))
            return huggingface.read_rows(chosen)

        return OpenedSource(origin, list(split.column_names), read_split)
    files, origin = _files(source, path)
    if _kind(source, files[0]) == "parquet":
        return _of_parquet(origin, files, what)
    return _of_rows(origin, lambda: _read_files(source, files), what, source.limit)


def open_file_rows(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a file, or of a folder's *.parquet, by what its name says; else JSON lines.

    columns: those to read of Parquet, or all.
    """
    if path.is_dir():
        return parquet_rows(_parquet_files(path), columns)
    require_file(path)
    kind = kind_of(path) or "jsonl"
    if kind == "parquet":
        return parquet_rows([path], columns)
    return _encodable(READERS[kind](path), columns)


def _files(source: DataSource, path: Path) -> tuple[list[Path], str]:
    """The files of a source, and what to call them together."""
    if source.kind == "huggingface":
        files = split_files(path, source.split, source.config)
        return files, str(path) if source.split is None else f"{path} ({source.split})"
    if source.kind == "parquet" and path.is_dir():
        return _parquet_files(path), str(path)
    require_file(path)
    return [path], str(path)


def _parquet_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise UserError(
            f"{folder} holds no .parquet file; check the `path` of this source in the recipe."
        )
    return files


def _kind(source: DataSource, file: Path) -> str:
    return str(kind_of(file)) if source.kind == "huggingface" else source.kind


def _read_files(source: DataSource, files: Sequence[Path]) -> Rows:
    """The rows of files one after the other, numbered through where there are several."""
    if len(files) == 1:
        yield from READERS[_kind(source, files[0])](files[0])
        return
    number = 0
    for file in files:
        for own, row in READERS[_kind(source, file)](file):
            number += 1
            fault = isinstance(row, RowError)
            yield number, RowError(f"{row} (row {own} of {file.name})") if fault else row


def _of_rows(origin: str, read: Callable[[], Rows], what: str, limit: int | None) -> OpenedSource:
    """A source whose rows come whole: one pass over them tells its columns."""
    faults = FaultyRows(origin)
    columns: dict[str, None] = {}
    some = False
    for number, row in limited(read(), limit):
        if isinstance(row, RowError):
            if not some:  # later ones are told by whoever reads the rows
                faults.add(number, str(row))
            continue
        some = True
        if not row.keys() <= columns.keys():
            columns.update(dict.fromkeys(row))
            if len(columns) > MAX_COLUMNS:
                raise UserError(
                    f"{origin}: the first {number} rows have more than {MAX_COLUMNS:,} different "
                    "keys; put what differs from row to row into the value of one key."
                )
    if not some:
        faults.raise_if_any()
        raise UserError(f"{origin} is empty; give at least one {what}.")
    return OpenedSource(origin, list(columns), lambda names: _encodable(read(), names))


def _encodable(rows: Rows, columns: Sequence[str] | None) -> Rows:
    """The rows, but a RowError where a column that is read holds half a character.

    Left out: rows of Parquet, whose texts are UTF-8.
    """
    for number, row in rows:
        try:
            if not isinstance(row, RowError):
                for name in row if columns is None else columns:
                    refuse_half_characters(row.get(name), name)
            yield number, row
        except RowError as fault:
            yield number, fault


def _of_parquet(origin: str, files: Sequence[Path], what: str) -> OpenedSource:
    packed = next((path for path in files if archive_of(path)), None)
    if packed is not None:
        raise UserError(f"{packed}: Parquet inside an archive is not read; unpack the archive.")
    if not sum(map(parquet.count_rows, files)):
        raise UserError(f"{origin} has no rows; give at least one {what}.")
    names = dict.fromkeys(name for path in files for name in parquet.column_names(path))
    return OpenedSource(origin, list(names), lambda columns: parquet_rows(files, columns))


def parquet_rows(files: Sequence[Path], columns: Sequence[str] | None = None) -> Rows:
    """The rows of Parquet files, numbered through; of these columns, where there are such."""

    def choose(names: list[str]) -> list[str]:
        return names if columns is None else [name for name in names if name in columns]

    rows = chain.from_iterable(parquet.read_rows(path, choose) for path in files)
    yield from enumerate(rows, start=1)


def limited(rows: Rows, limit: int | None) -> Rows:
    """The first rows."""
    return islice(rows, limit)
