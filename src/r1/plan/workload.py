"""Measure a recipe's workload: rows and mean tokens of its data, mean lengths of its responses.

Existing files are counted. A missing file counts as `limit` rows; without `limit` the amount is
unknown, and the estimate says so. Texts count as one token per four characters. Torch-free; nothing
is downloaded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.data.folders import kind_of, split_files
from r1.data.opened import READERS
from r1.data.places import open_data
from r1.data.rows import find_data
from r1.data.source_base import FILES
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.parquet import count_rows, read_rows
from r1.plan.columns import columns_read
from r1.plan.model import ModelShape, is_tiny

CHARACTERS_PER_TOKEN = 4
SAMPLE_ROWS = 200
TABLE_5_TOKENS = 5355.0
REASONING_TOKENS, GENERAL_TOKENS = 6472.0, 1420.0
ZERO_TOKENS = 7000.0
PROMPT_TOKENS = 200.0
TINY_PROMPT, TINY_RESPONSE = 25.0, 60.0
HUGE = 200e9

PUBLIC_SETS = {
    ("openai/gsm8k", "train"): 7473,
    ("openai/gsm8k", "test"): 1319,
    ("HuggingFaceH4/MATH-500", "test"): 500,
    ("HuggingFaceH4/aime_2024", "train"): 30,
    ("Idavidrein/gpqa", "train"): 198,
}
"""Rows of a few public data sets, by their id and split (GPQA: its Diamond configuration)."""


class Amount(NamedTuple):
    """The rows of some data and their mean tokens; None if unknown. notes: assumptions."""

    rows: int | None
    tokens: float | None = None
    notes: tuple[str, ...] = ()


class Length(NamedTuple):
    """A mean number of tokens and its source."""

    tokens: float
    note: str


def amount_of(sources: Iterable[Any], base_folder: Path, made: Mapping[str, Amount]) -> Amount:
    """Return the amount of several sources together. made: by stage, the output of "@stage"."""
    amounts = [_one(source, base_folder, made) for source in sources]
    notes = tuple(dict.fromkeys(note for amount in amounts for note in amount.notes))
    if any(amount.rows is None for amount in amounts):
        return Amount(None, None, notes)
    rows = sum(amount.rows or 0 for amount in amounts)
    if not rows or any(amount.tokens is None for amount in amounts):
        return Amount(rows, None, notes)
    tokens = sum((a.rows or 0) * (a.tokens or 0.0) for a in amounts) / rows
    return Amount(rows, tokens, notes)


def stage_of(reference: str) -> str:
    """Return the stage that "@stage", or "@stage/output", refers to."""
    return reference.removeprefix("@").partition("/")[0]


def _one(source: Any, base_folder: Path, made: Mapping[str, Amount]) -> Amount:
    if source.kind in ("tiny", "reasoning_gym"):
        tokens = TINY_PROMPT + TINY_RESPONSE if source.kind == "tiny" else None
        return Amount(source.num, tokens)
    path = str(source.path)
    if path.startswith("@"):
        found = made.get(stage_of(path), Amount(None, None, (f"rows of {path} unknown",)))
        rows = found.rows if source.limit is None else _least(found.rows, source.limit)
        return found._replace(rows=rows)
    file = find_data(path, base_folder)
    if file.exists() and source.kind in FILES:
        return counted(file, source.kind, source.limit, partial(columns_read, source))
    if source.kind == "huggingface" and file.is_dir() and (there := _in_folder(source, file)):
        return there
    if source.limit is not None:
        note = f"{path} is not here: {source.limit:,} rows, its limit"
        return Amount(source.limit, None, (note,))
    if (size := PUBLIC_SETS.get((path, getattr(source, "split", None) or ""))) is not None:
        return Amount(size)
    return Amount(None, None, (f"rows of {path} unknown (set its limit to say how many)",))


def _in_folder(source: Any, folder: Path) -> Amount | None:
    """Return the amount of a folder's data files; None for one that is not read so (the run says
    what is wrong with it)."""
    try:
        files = split_files(folder, source.split, source.config)
    except UserError:
        return None
    read = partial(columns_read, source)
    amounts = [counted(file, kind_of(file) or "jsonl", None, read) for file in files]
    rows = sum(amount.rows or 0 for amount in amounts)
    return Amount(rows if source.limit is None else min(rows, source.limit), amounts[0].tokens)


def _least(rows: int | None, limit: int) -> int:
    return limit if rows is None else min(rows, limit)


def counted(
    file: Path,
    kind: str,
    limit: int | None = None,
    columns_of: Callable[[Sequence[str]], Collection[str]] | None = None,
) -> Amount:
    """Count the rows of a data file; take their length from the first 200.

    columns_of: which of the columns are read; by default all.
    """
    sample: list[Any] = []
    if kind == "parquet":
        files = sorted(file.glob("*.parquet")) if file.is_dir() else [file]
        rows = sum(map(count_rows, files))
        sample = list(itertools.islice(read_rows(files[0]), SAMPLE_ROWS)) if files else []
    elif kind != "jsonl":
        rows = 0
        for rows, (_, row) in enumerate(READERS[kind](file), start=1):
            if rows <= SAMPLE_ROWS and isinstance(row, dict):
                sample.append(row)
    else:
        with open_data(file) as lines:
            head = [line for line in itertools.islice(lines, SAMPLE_ROWS) if line.strip()]
            rows = len(head) + sum(1 for line in lines if line.strip())
        sample = [_parsed(line) for line in head]
    if not sample:
        return Amount(0)
    if columns_of is not None:
        sample = _of_columns(sample, columns_of)
    mean = sum(_characters(row) for row in sample) / len(sample)
    return Amount(rows if limit is None else min(rows, limit), mean / CHARACTERS_PER_TOKEN)


def _parsed(line: bytes) -> Any:
    try:
        return parse_json(line)
    except FormatError:
        return line.decode("utf-8", "replace")  # a faulty row is the loader's to refuse


def _of_columns(
    sample: Iterable[Any], columns_of: Callable[[Sequence[str]], Collection[str]]
) -> list[Any]:
    """Return the rows with the columns that are read; a row that is none as it is."""
    rows = [row for row in sample if isinstance(row, Mapping)]
    kept = columns_of(list(dict.fromkeys(name for row in rows for name in row)))
    return [
        {name: row[name] for name in row if name in kept} if isinstance(row, Mapping) else row
        for row in sample
    ]


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(_characters(part) for part in value)
    return 0


def response_length(
    shape: ModelShape, limit: int, from_base: bool, given: float | None = None
) -> Length:
    """Return the assumed mean response: given, the paper's, the tiny world's, or half the limit.

    from_base: the policy starts as a base model (R1-Zero), whose responses grow from short ones.
    """
    if given is not None:
        return Length(min(given, limit), "mean response: as given")
    if is_tiny(shape):
        return Length(min(TINY_RESPONSE, limit / 2), "mean response: the tiny world's, about 60")
    if shape.parameters > HUGE and limit >= 32_768:
        if from_base:
            note = "mean response 7,000 tokens: a rough mean over R1-Zero's run, not from the paper"
            return Length(ZERO_TOKENS, note)
        note = "mean response 6,472 tokens: the reasoning rows of the paper's table 5"
        return Length(REASONING_TOKENS, note)
    return Length(limit / 2, f"mean response {limit / 2:,.0f} tokens: half the limit")


def prompt_length(shape: ModelShape, given: float | None = None, template: str = "") -> Length:
    """Return the assumed mean prompt, with its template's text. template: its kind,
    where it is known."""
    if given is not None:
        return Length(given, "mean prompt: as given")
    if is_tiny(shape):
        return Length(TINY_PROMPT, "mean prompt 25 tokens")
    if template in ("chat", "plain"):
        return Length(PROMPT_TOKENS, f"mean prompt 200 tokens, {template} template included")
    return Length(PROMPT_TOKENS, "mean prompt 200 tokens: Table 1 takes about half of it")
