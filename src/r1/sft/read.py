"""The conversations of a source, row by row and never all at once.

A source is read twice: `check_source` reads it whole for its form, before anything is tokenised;
`conversations` then yields what was found good.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from r1.data.opened import limited, open_source
from r1.data.rows import FaultyRows, RowError, Rows, name_of
from r1.errors import UserError
from r1.sft import tiny
from r1.sft.rows import Conversation, RowLayout, choose_layout, read_conversation
from r1.sft.settings import ExampleSource


class SourceCheck(NamedTuple):
    """A source whose form is right: how many examples, how many repeat an earlier one, and the
    columns that hold something to learn from, most likely, and are not read."""

    origin: str
    num: int
    repeats: int
    left_out: tuple[str, ...] = ()


def check_source(source: ExampleSource, base_folder: Path) -> SourceCheck:
    """Read a source once and check every row's form.

    Raises UserError for a missing, unreadable or empty file, missing columns, and with the first
    ten rows that cannot be used: their number and the reason.
    """
    origin = name_of(source, base_folder)
    faults = FaultyRows(origin)
    first_row: dict[str, int] = {}
    contents: set[bytes] = set()
    num = 0
    left_out, attempts = _attempts(source, base_folder)
    for number, found in attempts:
        if isinstance(found, RowError):
            faults.add(number, str(found))
            continue
        num += 1
        if found.id is not None and first_row.setdefault(found.id, number) != number:
            faults.add(
                number,
                f"id {found.id!r} is also the id of row {first_row[found.id]}; ids must differ",
            )
        text = json.dumps(found.turns, ensure_ascii=True, sort_keys=True, default=str)
        contents.add(hashlib.blake2b(text.encode(), digest_size=16).digest())
    faults.raise_if_any()
    if num == 0:
        raise UserError(f"{origin} has no rows; give at least one example.")
    return SourceCheck(origin, num, num - len(contents), left_out)


def layout_of(source: ExampleSource, base_folder: Path) -> RowLayout:
    """How a source's rows are read. Raises UserError where that cannot be told."""
    return _open(source, base_folder)[0]


def conversations(source: ExampleSource, base_folder: Path) -> Iterator[Conversation]:
    """Yield the conversations of a source that `check_source` accepted."""
    for number, found in _attempts(source, base_folder)[1]:
        if isinstance(found, RowError):
            raise UserError(f"{name_of(source, base_folder)} changed meanwhile: row {number}.")
        yield found


def _attempts(
    source: ExampleSource, base_folder: Path
) -> tuple[tuple[str, ...], Iterator[tuple[int, Conversation | RowError]]]:
    """The columns that are left out, and every row read or the reason why it cannot be."""
    if source.kind == "tiny":
        return (), ((found.row, found) for found in tiny.conversations(source))
    layout, rows = _open(source, base_folder)
    return layout.left_out, _read(source, layout, limited(rows, source.limit))


def _read(
    source: ExampleSource, layout: RowLayout, rows: Rows
) -> Iterator[tuple[int, Conversation | RowError]]:
    for number, row in rows:
        try:
            if isinstance(row, RowError):
                raise row
            yield number, read_conversation(number, row, source, layout)
        except RowError as fault:
            yield number, fault


def _open(source: ExampleSource, base_folder: Path) -> tuple[RowLayout, Rows]:
    """The rows with only the columns that are needed, and how to read them."""
    opened = open_source(source, base_folder, "example")
    layout = choose_layout(source, opened.columns, opened.origin)
    return layout, opened.read(layout.columns)
