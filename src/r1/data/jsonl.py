"""Problems from a JSONL file: one JSON object a line, UTF-8, blank lines skipped."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from r1.data.rows import (
    RowError,
    Table,
    find_data,
    missing_column,
    problems_from_rows,
    require_file,
    required_fields,
)
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import MAX_BYTES, open_file

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def load(settings: SourceSettings, base_folder: Path) -> Table:
    """Read settings.path. Rows are numbered as an editor numbers lines.

    Raises UserError for a missing or empty file, a JSON array instead of lines, or faulty rows.
    """
    assert settings.path is not None
    path = find_data(settings.path, base_folder)
    require_file(path)
    _check_first_row(settings, path)
    return problems_from_rows(read_rows(path), settings, str(path))


def read_rows(
    path: Path, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[int, dict[str, Any] | RowError]]:
    """Yield (line number, object) of every line; a RowError where a line holds none."""
    with open_file(path) as file:
        for number, line in enumerate(iter(partial(file.readline, max_bytes), b""), start=1):
            if len(line) == max_bytes:
                raise UserError(
                    f"{path}: row {number} has more than {max_bytes >> 20} MiB; write one object "
                    "a line."
                )
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if not line.isspace():
                yield number, _parse(line)


def _parse(line: bytes) -> dict[str, Any] | RowError:
    try:
        row = parse_json(line)
    except FormatError as fault:
        return RowError(str(fault))
    if not isinstance(row, dict):
        return RowError(f"a JSON {type(row).__name__}; each line must be an object {{...}}")
    return row


def _check_first_row(settings: SourceSettings, path: Path) -> None:
    """A column absent from the very first row is a fault of the recipe, not of a row."""
    first = next(read_rows(path), None)
    if first is None:
        raise UserError(f"{path} is empty; give at least one problem, one JSON object a line.")
    _, row = first
    if isinstance(row, RowError):
        refuse_array(path)
        return
    for field in required_fields(settings):
        column = getattr(settings.columns, field)
        if column not in row and column.partition(".")[0] not in row:
            raise UserError(f"{path}: row {first[0]}: {missing_column(field, column, row)}")


def refuse_array(path: Path) -> None:
    """UserError for a file that holds one JSON array in place of an object a line."""
    with open_file(path) as file:
        opening = file.read(64).removeprefix(BYTE_ORDER_MARK).lstrip()
    if opening.startswith(b"["):
        raise UserError(f"{path} holds one JSON array; write one object a line instead.")
