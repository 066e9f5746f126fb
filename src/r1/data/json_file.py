"""The rows of a JSON document: an array of objects, or an object that holds one list of them.

A file that is called .json and holds one object a line is read as such.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from r1.data import jsonl
from r1.data.places import open_data
from r1.data.rows import RowError, Rows
from r1.errors import UserError
from r1.files.json_stream import read_items
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import MAX_BYTES


def read_rows(path: Path, max_bytes: int = MAX_BYTES) -> Rows:
    """Yield (number from 1, object) of every item; a RowError where an item is none.

    Raises UserError where the document is no JSON: what follows the fault cannot be told apart.
    """
    with open_data(path) as file:
        lines = not _is_array(file)
    with open_data(path) as file:
        lines = lines and _holds_lines(file, max_bytes)
    if lines:
        yield from jsonl.read_rows(path, max_bytes)
        return
    number = 0
    with open_data(path) as file:
        try:
            for number, row in enumerate(read_items(file, max_bytes), start=1):
                yield number, row if isinstance(row, dict) else RowError(_not_an_object(row))
        except FormatError as fault:
            raise UserError(
                f"{path}: {fault} (after row {number}); mend the file, or write one object a line "
                "(.jsonl)."
            ) from None


def read_lines(path: Path, max_bytes: int = MAX_BYTES) -> Rows:
    """Yield the rows of a file of JSON lines, or of an array that is called so."""
    with open_data(path) as file:
        array = _is_array(file)
    return (read_rows if array else jsonl.read_rows)(path, max_bytes)


def _is_array(file: IO[bytes]) -> bool:
    return file.read(64).removeprefix(jsonl.BYTE_ORDER_MARK).lstrip().startswith(b"[")


def _not_an_object(row: object) -> str:
    return f"a JSON {type(row).__name__}; each item must be an object {{...}}"


def _holds_lines(file: IO[bytes], max_bytes: int) -> bool:
    """Whether the first line is a whole object, and another line follows."""
    line = file.readline(max_bytes).removeprefix(jsonl.BYTE_ORDER_MARK)
    try:
        parse_json(line)
    except FormatError:
        return False  # an object that goes on over several lines
    return any(not more.isspace() for more in iter(lambda: file.readline(max_bytes), b""))
