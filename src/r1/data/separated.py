"""The rows of a file of separated values (CSV, TSV): fields may hold line breaks.

The first row names the columns, but in MMLU's files, which have no such row: six fields, of which
the last is one of the letters A to D. An empty field is a column that the row does not have.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from r1.data.places import open_data
from r1.data.rows import RowError, Rows
from r1.errors import UserError

MMLU_COLUMNS = ("question", "A", "B", "C", "D", "answer")
MAX_FIELD_CHARS = 16 << 20
SEPARATORS = ",;\t"
_FIRST_LINES = 200


def read_rows(path: Path) -> Rows:
    """Yield (row number from 1, fields by column), the row of names not counted.

    A RowError stands where a row has more fields than there are columns. Raises UserError for a
    file that is not UTF-8 or has a column twice.
    """
    separator, known = _form(path)
    with open_data(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        records = csv_records(text, separator, str(path))
        names = known or [name.strip() for name in next(records, [])]
        _check_names(names, path)
        for number, row in named_fields(records, names):
            if not isinstance(row, RowError):
                row = {name: field or None for name, field in row.items()}
            yield number, row


def named_fields(records: Iterable[Sequence[str]], names: Sequence[str]) -> Rows:
    """Yield (number from 1, fields by column); records of no field are counted and left out."""
    for number, fields in enumerate(records, start=1):
        if not fields:
            continue
        extra = [field for field in fields[len(names) :] if field.strip()]
        if len(fields) < len(names) or extra:
            yield number, RowError(f"{len(fields)} fields where {len(names)} are named")
        else:
            yield number, dict(zip(names, fields, strict=False))


def separator_of(lines: Sequence[str]) -> str:
    """The separator of a text's first lines: the one that gives every record as many fields.

    Where none does, the one with which the first record has the most.
    """
    first = {}
    for separator in SEPARATORS:
        records = csv_records(lines, separator, "")
        widths = [len(fields) for fields in islice(records, _FIRST_LINES) if fields]
        widths = widths[:-1] if len(widths) > 2 else widths  # the last may be cut
        if len(set(widths)) == 1 and widths[0] > 1:
            return separator
        first[separator] = widths[0] if widths else 0
    return max(SEPARATORS, key=lambda separator: first[separator])


def _form(path: Path) -> tuple[str, tuple[str, ...] | None]:
    """(separator, the columns where the file does not name them)."""
    with open_data(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        try:
            lines = list(islice(text, _FIRST_LINES))
        except UnicodeDecodeError:
            raise _not_utf8(path) from None
    named_tsv = path.name.lower().removesuffix(".gz").endswith(".tsv")
    separator = "\t" if named_tsv else separator_of(lines)
    first = next(csv_records(lines, separator, str(path)), [])
    return separator, MMLU_COLUMNS if _is_mmlu(first) else None


def _is_mmlu(first: Sequence[str]) -> bool:
    return (
        len(first) == len(MMLU_COLUMNS)
        and first[-1].strip() in ("A", "B", "C", "D")
        and [field.strip() for field in first[1:-1]] != ["A", "B", "C", "D"]
    )


def csv_records(text: Iterable[str], separator: str, origin: str) -> Iterator[list[str]]:
    """Yield the fields of every record. Raises UserError, which names `origin`, for an open quote
    or a field of more than MAX_FIELD_CHARS characters."""
    csv.field_size_limit(MAX_FIELD_CHARS)  # of the library as a whole
    reader = csv.reader(text, delimiter=separator)
    try:
        yield from reader
    except csv.Error as fault:
        raise UserError(f"{origin}: line {reader.line_num}: {fault}; close its quotes.") from None
    except UnicodeDecodeError:
        raise _not_utf8(Path(origin)) from None


def _check_names(names: Sequence[str], path: Path) -> None:
    twice = next((name for name in names if name and list(names).count(name) > 1), None)
    if twice is not None:
        raise UserError(f'{path} has the column "{twice}" twice; rename one.')


def _not_utf8(path: Path) -> UserError:
    return UserError(f"{path} is not UTF-8; save it as UTF-8.")
