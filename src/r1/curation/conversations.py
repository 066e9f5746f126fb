"""Rows of supplied data as conversations: turns of role and content, the last by the assistant.

A row has `messages`, or `prompt` and `response`, each a text or a list of turns; `id`, `family`,
`language` and `num_tokens` are taken where it has them, and checked, so that a fault is told before
a mixture asks a model. A path may be a data set of this package (its folder), a folder of
*.parquet, or a file.

Left out on purpose: calls of tools, and columns of other names (`r1.sft.rows` reads those).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1.curation.card import CARD_JSON, CardFile
from r1.curation.store import DATA, MANIFEST, folder_of
from r1.data.opened import open_file_rows
from r1.data.rows import FaultyRows, RowError, find_data, number_text, shown
from r1.data.thinking import response_of
from r1.data.turns import TurnKeys, check_turns, earlier_turns, read_turns
from r1.errors import UserError
from r1.files.shapes import read_json

_KEYS = TurnKeys(known=("system", "user", "assistant"))
_COLUMNS = (
    "id", "messages", "earlier", "prompt", "response", "family", "language", "num_tokens"
)  # fmt: skip
MAX_TOKENS = 2**31 - 1
"""Of one response: what a mixture's column holds."""


@dataclass(frozen=True, slots=True)
class SuppliedConversation:
    """One row, numbered from 1 in its file. turns: (role, content), the last by the assistant."""

    row: int
    id: str | None
    turns: tuple[tuple[str, str], ...]
    family: str | None
    language: str | None
    num_tokens: int | None

    @property
    def question(self) -> str:
        """The last user turn."""
        return next((text for role, text in reversed(self.turns) if role == "user"), "")

    @property
    def response(self) -> str:
        """The last turn."""
        return self.turns[-1][1]


def read_conversations(
    path: str, base_folder: Path
) -> Iterator[tuple[int, SuppliedConversation | RowError]]:
    """Yield (row number, row) of a source; a RowError where a row is faulty.

    Raises UserError for a missing or unreadable file.
    """
    for number, row in _rows(find_data(path, base_folder)):
        try:
            if isinstance(row, RowError):
                raise row
            yield number, _read(number, row)
        except RowError as fault:
            yield number, fault


def count_conversations(path: str, base_folder: Path) -> int:
    """Read a source whole; UserError with the first ten faulty rows, or where it is empty."""
    faults = FaultyRows(path)
    num = 0
    for number, found in read_conversations(path, base_folder):
        num += 1
        if isinstance(found, RowError):
            faults.add(number, str(found))
    faults.raise_if_any()
    if not num:
        raise UserError(f"{path} has no rows; leave the source out, or give at least one.")
    return num


def card_of(path: str, base_folder: Path) -> dict[str, Any] | None:
    """The data card of a source that is a data set of this package, or None."""
    folder = folder_of(find_data(path, base_folder))
    return read_json(folder / CARD_JSON, shape=CardFile) if folder.is_dir() else None


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | RowError]]:
    if (path / MANIFEST).is_file():
        path = path / DATA
    yield from open_file_rows(path, _COLUMNS)


def _read(number: int, row: Mapping[str, Any]) -> SuppliedConversation:
    if row.get("messages") is not None:
        turns = read_turns(row["messages"], "messages", _KEYS)
    else:
        turns = earlier_turns(row) + _part(row, "prompt", "user")
        turns += _part(row, "response", "assistant")
    check_turns(turns)
    for place, turn in enumerate(turns, start=1):
        if turn.get("tool_calls"):
            raise RowError(f"turn {place} calls tools, and a mixture holds only texts")
    return SuppliedConversation(
        number,
        None if row.get("id") is None else str(row["id"]),
        tuple((turn["role"], response_of(turn)) for turn in turns),
        _label(row, "family"),
        _label(row, "language"),
        _num_tokens(row.get("num_tokens")),
    )


def _label(row: Mapping[str, Any], name: str) -> str | None:
    """A row's family or language, a number as a text; RowError for anything else."""
    value = row.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    raise RowError(f"{name} is {shown(value)}; it must be a text")


def _num_tokens(value: Any) -> int | None:
    """A row's tokens, None where it names no whole number; RowError for one beyond 32 bits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a table's whole number beside a null
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if not 0 <= value <= MAX_TOKENS:
        raise RowError(f"num_tokens is {value}; give a number from 0 to {MAX_TOKENS:,}, or none")
    return value


def _part(row: Mapping[str, Any], name: str, role: str) -> list[dict[str, Any]]:
    value = row.get(name)
    if value is None:
        raise RowError(f'there is no "{name}" and no "messages"')
    return read_turns(
        [{"role": role, "content": value}] if isinstance(value, str) else value, name, _KEYS
    )
