"""Read the rows of benchmarks' original files: JSON lines and comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from r1.benchmarks.protocol import Row
from r1.data.jsonl import read_rows
from r1.data.rows import RowError
from r1.files.json_text import FormatError, parse_json


def json_lines(path: Path) -> Iterator[Row]:
    """Yield the objects of a file with one a line, each with its line number."""
    for number, row in read_rows(path):
        yield f"{path.stem}:{number}", row


def parsed_json(path: Path) -> object:
    """The value of a JSON file. Raises RowError where it is none."""
    try:
        return parse_json(path.read_bytes())
    except FormatError as fault:
        raise RowError(f"{path.name}: {fault}") from None


def csv_rows(name: str, data: bytes, columns: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the rows of a CSV text: fields may hold line breaks; the separator may be ";" or a tab.

    columns: of a file without a header. A text that is not UTF-8 is Mac Roman's, the one other
    encoding that occurs. A row with more or fewer fields than columns is odd.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("mac_roman")
    head = text.partition("\n")[0]
    separator = "," if columns else max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names = list(columns) or next(reader, [])
    for number, values in enumerate(reader):
        if not values:
            continue
        extra = [value for value in values[len(names) :] if value.strip()]
        if len(values) < len(names) or extra:
            fault = RowError(f"{len(values)} fields where {len(names)} are named")
            yield f"{name}:{number}", fault
        else:
            yield f"{name}:{number}", dict(zip(names, values, strict=False))


def csv_files(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of CSV files with headers, named by the files."""
    for path in paths:
        yield from csv_rows(path.stem, path.read_bytes())
