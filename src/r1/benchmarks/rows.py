"""Read the rows of benchmarks' files: JSON lines, comma-separated values, the hub's Parquet."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.protocol import DataLayout, Item, Row, items
from r1.data.jsonl import read_rows
from r1.data.opened import parquet_rows as read_parquet
from r1.data.rows import RowError, shown
from r1.data.separated import csv_records, named_fields
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import MAX_BYTES, open_file, read_bytes
from r1.types import Problem


def json_lines(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Row]:
    """Yield the objects of a file with one a line, each with its line number."""
    for number, row in read_rows(path, max_bytes):
        yield f"{path.stem}:{number}", row


def parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, all columns. Raises UserError for a damaged file."""
    for number, row in read_parquet([path]):
        yield f"{path.stem}:{number}", row


def hub_rows(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of the hub's files, CONFIG/SPLIT-00000-of-00001.parquet.

    A row stands at "CONFIG_SPLIT:3", counted through over the parts of a split.
    """
    counts: Counter[str] = Counter()
    for path in paths:
        split = f"{path.parent.name}_{path.stem.partition('-')[0]}"
        for _, row in read_parquet([path]):
            counts[split] += 1
            yield f"{split}:{counts[split]}", row


def hub_layout(
    name: str, pattern: str, make: Callable[[str, Mapping[str, Any]], Problem]
) -> DataLayout:
    """The layout of a data set as the Hugging Face hub stores it. pattern: its Parquet files."""

    def read(paths: list[list[Path]]) -> Iterator[Item]:
        return items(hub_rows(paths[0]), make)

    return DataLayout(f"{name}, the hub's Parquet", (pattern,), read)


def options_of(row: Mapping[str, Any], column: str) -> list[str]:
    """A column's list of texts, none empty. Raises RowError."""
    options = row.get(column)
    texts = isinstance(options, list) and all(isinstance(each, str) for each in options)
    if not texts or not all(each.strip() for each in options or []):
        raise RowError(f"{column} is {shown(options)}; it must be a list of texts, none empty")
    return list(options or [])


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
        return parse_json(read_bytes(path))
    except FormatError as fault:
        raise RowError(f"{path.name}: {fault}") from None


def csv_rows(
    name: str, data: bytes, columns: Sequence[str] = (), origin: str = ""
) -> Iterator[Row]:
    """Yield the rows of a CSV text: fields may hold line breaks; the separator may be ";" or a tab.

    columns: of a file without a header. A text that is not UTF-8 is Mac Roman's, the one other
    encoding that occurs. A row with more or fewer fields than columns is odd. origin: the file, for
    messages, where it is not NAME.csv.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("mac_roman")
    head = text.partition("\n")[0]
    separator = "," if columns else max(",;\t", key=head.count)
    records = csv_records(io.StringIO(text, newline=""), separator, origin or f"{name}.csv")
    names = list(columns) or next(records, [])
    for number, row in named_fields(records, names):
        yield f"{name}:{number - 1}", row


def csv_files(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of CSV files with headers, named by the files."""
    for path in paths:
        yield from csv_rows(path.stem, read_bytes(path))
