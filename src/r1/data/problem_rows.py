"""From the rows of a source to problems, with every fault named by its row, reason and remedy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from r1.data.columns import ABSENT, missing_name, take_column, top_names
from r1.data.layouts import ColumnLayout, find_layout
from r1.data.opened import OpenedSource, limited, open_source
from r1.data.rows import (
    LIKELY_NAMES,
    NEEDS_NO_REFERENCE,
    FaultyRows,
    RowError,
    Rows,
    Table,
    content_hash,
    missing_column,
    number_text,
    read_id,
    refuse_half_characters,
    shown,
)
from r1.data.settings import Columns, SourceSettings
from r1.data.turns import TurnKeys, asked_turns, read_turns
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.types import Problem

_TABLES = frozenset({"parquet", "huggingface"})
"""Kinds whose tables give every row the fields that only some have."""


def load(settings: SourceSettings, base_folder: Path) -> Table:
    """Read a source of rows.

    Raises UserError for a missing, unreadable or empty one, a missing column, or faulty rows.
    """
    opened = open_source(settings, base_folder, "problem")
    layout = layout_of(settings, opened)
    if layout is None:
        wanted = _needed_columns(settings, opened)
    else:
        settings, wanted = layout.settings(settings), [*layout.reads]
    rows = limited(opened.read(wanted), settings.limit)
    return problems_from_rows(rows, settings, opened.origin, layout)


def layout_of(settings: SourceSettings, opened: OpenedSource) -> ColumnLayout | None:
    """The known layout that a source is in, or None: its columns are ours or the recipe's.

    Raises UserError for a layout that holds something else than problems.
    """
    if settings.columns.named & {"prompt", "reference"}:
        return None
    return find_layout(settings, opened)


def problems_from_rows(
    rows: Rows, settings: SourceSettings, origin: str, layout: ColumnLayout | None = None
) -> Table:
    """Turn (row number, columns) pairs into problems.

    A RowError in place of the columns is a row that could not be read at all. Raises UserError
    with the first ten faulty rows, or drops them, as the settings say.
    """
    convert = _Converter(settings)
    errors = FaultyRows(origin, settings.unusable == "drop")
    numbers: list[int] = []
    problems: list[Problem] = []
    for number, row in rows:
        try:
            if isinstance(row, RowError):
                raise row
            problem = convert(row if layout is None else layout.make(row))
        except RowError as fault:
            errors.add(number, str(fault))
            continue
        numbers.append(number)
        problems.append(problem)
    errors.raise_if_any()
    if errors.num and not problems:
        raise UserError(f'{origin}: every row was dropped (unusable = "drop"); mend some.')
    return Table(origin, numbers, problems)


def _needed_columns(settings: SourceSettings, opened: OpenedSource) -> list[str]:
    """The columns of a source that are worth reading.

    Raises UserError where one that must be there is missing.
    """
    names = opened.columns
    for field in required_fields(settings):
        column = getattr(settings.columns, field)
        missing = missing_name(column, names)
        if missing is not None:
            said = missing_column(field, missing, names)
            raise UserError(f"{opened.origin}: {said}")
    wanted = {
        top for column in settings.columns.model_dump().values() for top in top_names(column, names)
    }
    return [name for name in names if name in wanted]


def required_fields(settings: SourceSettings) -> list[str]:
    """The fields whose columns must exist: those named in the recipe, prompt, and reference."""
    required = settings.columns.named | {"prompt"}
    if settings.verifier not in NEEDS_NO_REFERENCE:
        required.add("reference")
    return [field for field in Columns.model_fields if field in required]


class _Converter:
    """One row -> one Problem; RowError says why not."""

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings
        self.columns: dict[str, str] = settings.columns.model_dump()
        self.named = settings.columns.named
        self.family = settings.family or "default"
        self.seen: dict[str, int] = {}

    def __call__(self, row: Mapping[str, Any]) -> Problem:
        earlier, prompt = _asked(self._take(row, "prompt", required=True))
        verifier = self._text(row, "verifier", self.settings.verifier)
        reference = self._reference(row, verifier)
        return Problem(
            id=self._id(row, repr((earlier, prompt)) if earlier else prompt, reference),
            prompt=prompt,
            reference=reference,
            verifier=verifier,
            language=self._text(row, "language", self.settings.language),
            family=self._text(row, "family", self.family),
            metadata=self._metadata(row),
            earlier=earlier,
        )

    def _take(self, row: Mapping[str, Any], field: str, required: bool = False) -> Any:
        column = self.columns[field]
        value = take_column(row, column)
        if value is ABSENT and (required or field in self.named):
            raise RowError(missing_column(field, column, row, LIKELY_NAMES))
        return value

    def _text(self, row: Mapping[str, Any], field: str, default: str) -> str:
        value = self._take(row, field)
        if value is ABSENT or value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise RowError(f"{field} is {shown(value)}; it must be a text")
        return value

    def _reference(self, row: Mapping[str, Any], verifier: str) -> str | None:
        needed = verifier not in NEEDS_NO_REFERENCE
        value = self._take(row, "reference", required=needed)
        if value is ABSENT or value is None:
            if needed:
                raise RowError(f'reference is null; the verifier "{verifier}" needs a gold answer')
            return None
        text = _reference_text(value)
        marker = self.settings.reference_after
        if marker is not None:
            _, found, text = text.rpartition(marker)
            if not found:
                raise RowError(f'reference has no "{marker}" (reference_after)')
        if not text.strip():
            raise RowError("reference is empty; give the gold answer")
        return text.strip() if marker else text

    def _id(self, row: Mapping[str, Any], prompt: str, reference: str | None) -> str:
        value = self._take(row, "id")
        if value is ABSENT:
            return self._content_id(prompt, reference)
        return read_id(value)

    def _content_id(self, prompt: str, reference: str | None) -> str:
        """The hash of the content: the same row has the same id in whatever order rows come."""
        digest = content_hash(f"{prompt}\0{reference}")
        count = self.seen[digest] = self.seen.get(digest, 0) + 1
        return digest if count == 1 else f"{digest}-{count}"

    def _metadata(self, row: Mapping[str, Any]) -> dict[str, Any]:
        metadata = self._take(row, "metadata")
        options = self._take(row, "options")
        if metadata is ABSENT or metadata is None:
            metadata = {}
        if isinstance(metadata, str):  # columns that hold JSON: rows of differing fields
            text = metadata
            try:
                metadata = parse_json(text)
            except FormatError as fault:
                raise RowError(f"metadata is {shown(text)}, but {fault}") from None
            refuse_half_characters(metadata, "metadata")
        elif self.settings.kind in _TABLES:
            metadata = _without_nulls(metadata)
        if not isinstance(metadata, dict):
            raise RowError(f"metadata is {shown(metadata)}; it must be an object")
        if options is not ABSENT and options is not None:
            if not isinstance(options, list) or not all(isinstance(o, str) for o in options):
                raise RowError(f"options is {shown(options)}; it must be a list of texts")
            metadata = {**metadata, "options": options}
        if metadata:
            try:
                json.dumps(metadata)
            except (TypeError, ValueError) as error:
                raise RowError(f"metadata cannot be written as JSON: {error}") from None
        return metadata


def _without_nulls(value: Any) -> Any:
    """A struct without the fields that only other rows have: a table gives every row all of them.

    A field that is null on purpose needs metadata as JSON text.
    """
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _asked(value: Any) -> tuple[tuple[tuple[str, str], ...], str]:
    """(the turns before the prompt, the prompt) of a text or of a list of turns."""
    earlier: tuple[tuple[str, str], ...] = ()
    if isinstance(value, list) and value and all(isinstance(turn, Mapping) for turn in value):
        *before, (_, value) = asked_turns(read_turns(value, "prompt", TurnKeys()))
        earlier = tuple(before)
    if not isinstance(value, str):
        raise RowError(f"prompt is {shown(value)}; it must be a text")
    if not value.strip():
        raise RowError("prompt is empty; give the question")
    return earlier, value


def _reference_text(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise RowError(f"reference is {shown(value)}; it must be a text or a number")
    return number_text(value)
