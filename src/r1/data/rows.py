"""From the rows of a file to problems, with every fault named by its row, reason and remedy."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from r1.data.settings import Columns, SourceSettings
from r1.data.source_base import DataSource
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import check_regular
from r1.types import Problem

logger = logging.getLogger(__name__)

MAX_SHOWN = 10
NEEDS_NO_REFERENCE = frozenset({"reasoning_gym", "code", "ifeval", "none"})
LIKELY_NAMES = {
    "prompt": ("problem", "question", "query", "instruction", "input"),
    "reference": ("answer", "final_answer", "solution", "target", "output"),
}
_ABSENT = object()


class Table(NamedTuple):
    """A source's problems with the row each one came from, counted from 1."""

    origin: str
    rows: list[int]
    problems: list[Problem]


class FaultyRows:
    """Collects faults so that one start shows the first ten, not one.

    drops: the rows are left out, which is said and counted, instead of refused; None where the
    source has no setting for that. hint: a likely cause of all faults.
    """

    def __init__(self, origin: str, drops: bool | None = None, hint: str = "") -> None:
        self.origin = origin
        self.drops = drops
        self.hint = hint
        self.shown: list[str] = []
        self.num = 0

    def add(self, row: int, reason: str) -> None:
        self.num += 1
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(f"  row {row}: {reason}")

    def raise_if_any(self) -> None:
        """Raise UserError where anything was added, or warn of what is dropped."""
        if not self.num:
            return
        rows = f"{self.num} row{'s' * (self.num > 1)}"
        lines = [f"{self.origin}: {rows} {'dropped' if self.drops else 'cannot be used'}:"]
        lines += self.shown
        if self.num > len(self.shown):
            lines.append(f"  and {self.num - len(self.shown)} more")
        if self.hint:
            lines.append(self.hint)
        if self.drops:
            logger.warning("%s", "\n".join(lines))
            return
        if self.drops is not None:
            lines.append('With unusable = "drop" in the recipe they are left out.')
        lines.append("Mend or remove these rows, then start again.")
        raise UserError("\n".join(lines))


class RowError(Exception):
    """What is wrong with one row; becomes a line of FaultyRows."""


def content_hash(text: str) -> str:
    """A short hash of a text as 16 hexadecimal digits; lone surrogates are taken too."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def find_data(path: str, base_folder: Path) -> Path:
    """Return a data file or folder: absolute, from ~, in the recipe's folder, else the working one.

    What exists in neither is named in the recipe's folder.
    """
    places = [base_folder / Path(path).expanduser(), Path(path).expanduser()]
    return next((place for place in places if place.exists()), places[0])


def name_of(source: DataSource, base_folder: Path) -> str:
    """What messages call a source: its path where it is a file or a folder, else its label."""
    if source.kind in ("jsonl", "parquet"):
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
    near = difflib.get_close_matches(path.name, siblings, n=1)
    hint = f"did you mean {path.parent / near[0]}?" if near else "check data.*.path in the recipe."
    raise UserError(f"data file {path} does not exist; {hint}")


def needed_columns(settings: SourceSettings, available: Iterable[str]) -> list[str]:
    """The columns of a table that are worth reading.

    Raises UserError where one that must be there is missing.
    """
    names = list(available)
    wanted = settings.columns.model_dump().values()
    for field in required_fields(settings):
        column = getattr(settings.columns, field)
        if column not in names and column.partition(".")[0] not in names:
            raise UserError(f"{settings.path}: {missing_column(field, column, names)}")
    return [n for n in names if any(w == n or w.partition(".")[0] == n for w in wanted)]


def required_fields(settings: SourceSettings) -> list[str]:
    """The fields whose columns must exist: those named in the recipe, prompt, and reference."""
    required = settings.columns.named | {"prompt"}
    if settings.verifier not in NEEDS_NO_REFERENCE:
        required.add("reference")
    return [field for field in Columns.model_fields if field in required]


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


def problems_from_rows(
    rows: Iterable[tuple[int, Mapping[str, Any] | RowError]],
    settings: SourceSettings,
    origin: str,
) -> Table:
    """Turn (row number, columns) pairs into problems.

    A RowError in place of the columns is a row that could not be read at all. Raises UserError
    with the first ten faulty rows, or drops them, as the settings say.
    """
    convert = _Converter(settings)
    errors = FaultyRows(origin, settings.unusable == "drop")
    numbers: list[int] = []
    problems: list[Problem] = []
    for number, row in _first(rows, settings.limit):
        try:
            if isinstance(row, RowError):
                raise row
            problem = convert(row)
        except RowError as fault:
            errors.add(number, str(fault))
            continue
        numbers.append(number)
        problems.append(problem)
    errors.raise_if_any()
    if errors.num and not problems:
        raise UserError(f'{origin}: every row was dropped (unusable = "drop"); mend some.')
    return Table(origin, numbers, problems)


def _first(rows: Iterable[Any], limit: int | None) -> Iterator[Any]:
    for count, row in enumerate(rows):
        if count == limit:
            return
        yield row


class _Converter:
    """One row -> one Problem; RowError says why not."""

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings
        self.columns: dict[str, str] = settings.columns.model_dump()
        self.named = settings.columns.named
        self.family = settings.family or "default"
        self.seen: dict[str, int] = {}

    def __call__(self, row: Mapping[str, Any]) -> Problem:
        prompt = _prompt_text(self._take(row, "prompt", required=True))
        verifier = self._text(row, "verifier", self.settings.verifier)
        reference = self._reference(row, verifier)
        return Problem(
            id=self._id(row, prompt, reference),
            prompt=prompt,
            reference=reference,
            verifier=verifier,
            language=self._text(row, "language", self.settings.language),
            family=self._text(row, "family", self.family),
            metadata=self._metadata(row),
        )

    def _take(self, row: Mapping[str, Any], field: str, required: bool = False) -> Any:
        column = self.columns[field]
        value = row.get(column, _ABSENT)
        if value is _ABSENT:
            if "." in column:
                value = _nested(row, column)
            if value is _ABSENT and (required or field in self.named):
                raise RowError(missing_column(field, column, row))
        return value

    def _text(self, row: Mapping[str, Any], field: str, default: str) -> str:
        value = self._take(row, field)
        if value is _ABSENT or value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise RowError(f"{field} is {shown(value)}; it must be a text")
        return value

    def _reference(self, row: Mapping[str, Any], verifier: str) -> str | None:
        needed = verifier not in NEEDS_NO_REFERENCE
        value = self._take(row, "reference", required=needed)
        if value is _ABSENT or value is None:
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
        if value is _ABSENT:
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
        if metadata is _ABSENT or metadata is None:
            metadata = {}
        if isinstance(metadata, str):  # columns that hold JSON: rows of differing fields
            text = metadata
            try:
                metadata = parse_json(text)
            except FormatError as fault:
                raise RowError(f"metadata is {shown(text)}, but {fault}") from None
        elif self.settings.kind in ("parquet", "huggingface"):
            metadata = _without_nulls(metadata)
        if not isinstance(metadata, dict):
            raise RowError(f"metadata is {shown(metadata)}; it must be an object")
        if options is not _ABSENT and options is not None:
            if not isinstance(options, list) or not all(isinstance(o, str) for o in options):
                raise RowError(f"options is {shown(options)}; it must be a list of texts")
            metadata = {**metadata, "options": options}
        if metadata:
            try:
                json.dumps(metadata)
            except (TypeError, ValueError) as error:
                raise RowError(f"metadata cannot be written as JSON: {error}") from None
        return metadata


def read_id(value: Any) -> str:
    """A row's id; RowError where it is neither a text nor a whole number."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise RowError(f"id is {shown(value)}; give a text or a whole number")
    return str(value)


def _without_nulls(value: Any) -> Any:
    """A struct without the fields that only other rows have: a table gives every row all of them.

    A field that is null on purpose needs metadata as JSON text.
    """
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _nested(row: Mapping[str, Any], column: str) -> Any:
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _prompt_text(value: Any) -> str:
    """A text, or a chat of one user message."""
    if isinstance(value, list) and value and all(isinstance(turn, Mapping) for turn in value):
        if len(value) != 1 or value[0].get("role") != "user":
            roles = ", ".join(str(turn.get("role")) for turn in value)
            raise RowError(
                f"prompt is a chat with the turns {roles}; only one user turn is taken: the "
                "template of the recipe adds the rest"
            )
        value = value[0].get("content")
    if not isinstance(value, str):
        raise RowError(f"prompt is {shown(value)}; it must be a text")
    if not value.strip():
        raise RowError("prompt is empty; give the question")
    return value


def _reference_text(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise RowError(f"reference is {shown(value)}; it must be a text or a number")
    return str(value)


def shown(value: Any) -> str:
    """A value as a message names it, cut where it is long."""
    if value is None:
        return "null"
    text = repr(value)
    kind = type(value).__name__
    return f"{text if len(text) <= 40 else text[:37] + '...'} (a {kind})"
