"""What every reader of rows shares: how a fault is named, where files are, what a value is."""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from r1.data.source_base import FILES, DataSource
from r1.errors import UserError
from r1.files.regular import check_regular
from r1.types import Problem

logger = logging.getLogger(__name__)

MAX_SHOWN, MAX_NUMBERS = 10, 5
_EXACT = 2**53
"""Below it a float holds every whole number."""
NEEDS_NO_REFERENCE = {"reasoning_gym", "code", "ifeval", "none"}
"""Verifiers whose problems have no gold answer; r1.rewards.registry adds those of plugins."""
LIKELY_NAMES = {
    "prompt": ("problem", "question", "query", "instruction", "input"),
    "reference": ("answer", "final_answer", "solution", "target", "output"),
}


class Table(NamedTuple):
    """A source's problems with the row each one came from, counted from 1."""

    origin: str
    rows: list[int]
    problems: list[Problem]


class FaultyRows:
    """Collects faults so that one start shows the first ten, not one; rows of one fault share a
    line.

    drops: the rows are left out, which is said and counted, instead of refused; None where the
    source has no setting for that. hint: a likely cause of all faults.
    """

    def __init__(self, origin: str, drops: bool | None = None, hint: str = "") -> None:
        self.origin = origin
        self.drops = drops
        self.hint = hint
        self.num = 0
        self._rows: dict[str, list[int]] = {}  # by the reason; of the first MAX_SHOWN reasons

    def add(self, row: int, reason: str) -> None:
        self.num += 1
        if reason in self._rows or len(self._rows) < MAX_SHOWN:
            self._rows.setdefault(reason, []).append(row)

    def raise_if_any(self) -> None:
        """Raise UserError where anything was added, or warn of what is dropped."""
        if not self.num:
            return
        counted = f"{self.num:,} row{'s' * (self.num > 1)}"
        lines = [f"{self.origin}: {counted} {'dropped' if self.drops else 'cannot be used'}:"]
        lines += [f"  {_row_numbers(rows)}: {reason}" for reason, rows in self._rows.items()]
        if left := self.num - sum(map(len, self._rows.values())):
            lines.append(f"  and {left} more")
        if self.hint:
            lines.append(self.hint)
        if self.drops:
            logger.warning("%s", "\n".join(lines))
            return
        if self.drops is not None:
            lines.append('With unusable = "drop" in the recipe they are left out.')
        lines.append("Mend or remove these rows, then start again.")
        raise UserError("\n".join(lines))


def _row_numbers(rows: Sequence[int]) -> str:
    """ "row 3", "rows 1, 2, 3", "2,000 rows (1, 2, 3, 4, 5, ...)"."""
    first = ", ".join(map(str, rows[:MAX_NUMBERS]))
    if len(rows) > MAX_NUMBERS:
        return f"{len(rows):,} rows ({first}, ...)"
    return f"row{'s' * (len(rows) > 1)} {first}"


class RowError(Exception):
    """What is wrong with one row; becomes a line of FaultyRows."""


Rows = Iterator[tuple[int, Mapping[str, Any] | RowError]]
"""(row number, columns) of every row; a RowError where one could not be read."""


def content_hash(text: str) -> str:
    """A short hash of a text as 16 hexadecimal digits; lone surrogates are taken too."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def refuse_half_characters(value: Any, name: str) -> None:
    """RowError where a text inside a value holds half a surrogate pair.

    JSON's escapes and functions can give such a text, which no tokenizer and no file takes.
    """
    half = _half_character(value)
    if half is not None:
        raise RowError(f"{name} holds half a character ({half}); write the text again as UTF-8")


def _half_character(value: Any) -> str | None:
    """The first lone surrogate of the texts inside a value, escaped; None where there is none."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as fault:
            return ascii(value[fault.start])[1:-1]
        return None
    if isinstance(value, Mapping):
        return _half_character([*value, *value.values()])
    if isinstance(value, list | tuple):
        return next(filter(None, map(_half_character, value)), None)
    return None


def find_data(path: str, base_folder: Path) -> Path:
    """Return a data file or folder: absolute, from ~, in the recipe's folder, else the working one.

    What exists in neither is named in the recipe's folder.
    """
    places = [base_folder / Path(path).expanduser(), Path(path).expanduser()]
    return next((place for place in places if place.exists()), places[0])


def name_of(source: DataSource, base_folder: Path) -> str:
    """What messages call a source: its path where it is a file or a folder, else its label."""
    if source.kind in FILES:
        return str(find_data(str(source.path), base_folder))
    return source.label


def require_file(path: Path) -> None:
    """UserError where path is no file, naming the likeliest one beside it."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the data file inside it.")
    try:
        check_regular(path)
        return
    except FileNotFoundError:
        pass
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    siblings = [name for name in siblings if not name.endswith((".toml", ".py"))]
    near = difflib.get_close_matches(path.name, siblings, n=1)
    hint = (
        f"did you mean {path.parent / near[0]}?"
        if near
        else "check the `path` of this source in the recipe."
    )
    raise UserError(f"data file {path} does not exist; {hint}")


def missing_column(
    field: str,
    column: str,
    available: Iterable[str],
    likely_names: Mapping[str, Sequence[str]] = LIKELY_NAMES,
) -> str:
    """Say that a column is missing and which one was probably meant.

    likely_names: what a field's column is often called.
    """
    names = list(available)
    likely = [name for name in likely_names.get(field, ()) if name in names]
    near = difflib.get_close_matches(column, names, n=1) or likely[:1]
    shown = ", ".join(names[:12]) or "none"
    guess = near[0] if near else "..."
    return (
        f'no column "{column}" for the {field}; the columns are: {shown}. '
        f'Set columns = {{ {field} = "{guess}" }}'
    )


def read_id(value: Any) -> str:
    """A row's id; RowError where it is neither a text nor a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise RowError(f"id is {shown(value)}; give a text or a whole number")
    return str(value)


def number_text(value: int | float | Decimal) -> str:
    """A number as a text: "42" for 42.0, which tables make of a whole number beside a null."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return str(int(value) if whole else value)


def shown(value: Any) -> str:
    """A value as a message names it, cut where it is long."""
    if value is None:
        return "null"
    text = repr(value)
    kind = type(value).__name__
    return f"{text if len(text) <= 40 else text[:37] + '...'} (a {kind})"
