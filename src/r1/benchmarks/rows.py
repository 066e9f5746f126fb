"""Read the rows of benchmarks' original files: JSON lines and comma-separated values."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.protocol import Row
from r1.data.jsonl import read_rows
from r1.data.parquet import read_rows as read_parquet
from r1.data.rows import RowError, shown
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import MAX_BYTES, open_file


def json_lines(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Row]:
    """Yield the objects of a file with one a line, each with its line number."""
    for number, row in read_rows(path, max_bytes):
        yield f"{path.stem}:{number}", row


def parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, all columns. Raises UserError for a damaged file."""
    for number, row in read_parquet(path, lambda columns: columns):
        yield f"{path.stem}:{number}", row


def gzipped_json_lines(path: Path) -> Iterator[Row]:
    """Yield the objects of a gzipped file with one a line; a damaged file ends in an odd row."""
    number = 0
    try:
        with open_file(path) as packed, gzip.open(packed) as file:
            for number, line in enumerate(iter(partial(file.readline, MAX_BYTES), b""), start=1):
                yield f"{path.stem}:{number}", _object(line)
    except (OSError, EOFError, zlib.error) as fault:
        yield f"{path.stem}:{number + 1}", RowError(f"{path.name} is damaged: {fault}")


def _object(line: bytes) -> dict[str, Any] | RowError:
    try:
        row = parse_json(line)
    except FormatError as fault:
        return RowError(str(fault))
    return row if isinstance(row, dict) else RowError(f"the row is {shown(row)}")


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
