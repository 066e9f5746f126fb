"""The rows of a JSONL file: one JSON object a line, UTF-8, blank lines skipped."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from r1.data.places import open_data
from r1.data.rows import RowError, Rows
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import MAX_BYTES

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_rows(path: Path, max_bytes: int = MAX_BYTES) -> Rows:
    """Yield (line number, object) of every line; a RowError where a line holds none."""
    with open_data(path) as file:
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
        row = parse_json(line.rstrip())  # else a fault at its end is one of "line 2"
    except FormatError as fault:
        return RowError(str(fault))
    if not isinstance(row, dict):
        return RowError(f"a JSON {type(row).__name__}; each line must be an object {{...}}")
    return row
