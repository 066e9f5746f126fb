"""Read completions back (columns: r1.run_dir.completions), checked, and only the needed rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from r1.errors import UserError
from r1.files import parquet
from r1.types import Outcome

_TEXT, _INTEGER, _NUMBER = ("text", "null"), ("integer",), ("number", "integer", "null")
_KINDS = {
    "step": _INTEGER,
    "problem_id": _TEXT,
    "family": _TEXT,
    "language": _TEXT,
    "prompt": _TEXT,
    "reference": _TEXT,
    "sample": _INTEGER,
    "text": _TEXT,
    "thinking": _TEXT,
    "answer": _TEXT,
    "finish_reason": _TEXT,
    "num_tokens": _INTEGER,
    "reward": _NUMBER,
    "valid": ("boolean",),
    "advantage": _NUMBER,
}
_NEWER = {"verifier": _TEXT}
"""Columns that tables of older runs lack."""
_KINDS_OF_PARTS = {"reward": _NUMBER, "outcome": _TEXT, "detail": _TEXT}
_NEVER_NULL = ("problem_id", "family", "prompt", "sample", "text", "num_tokens", "valid")
MAX_COMPLETIONS = 1 << 20
_OUTCOMES = frozenset(str(outcome) for outcome in Outcome)


def check_columns(path: Path) -> list[str]:
    """Check that a table has the columns of completions; return its reward parts.

    Raises UserError where one is missing or of another type.
    """
    parquet.require_types(path, _KINDS)
    num_rows = parquet.count_rows(path)
    if num_rows > MAX_COMPLETIONS:
        raise UserError(
            f"{path} holds {num_rows:,} completions, more than the {MAX_COMPLETIONS:,} that a step "
            "or an evaluation may have; restore the file."
        )
    names = parquet.column_names(path)
    parts = [name.removeprefix("reward/") for name in names if name.startswith("reward/")]
    parquet.require_types(path, {name: kind for name, kind in _NEWER.items() if name in names})
    parquet.require_types(
        path, {f"{what}/{part}": kind for part in parts for what, kind in _KINDS_OF_PARTS.items()}
    )
    return parts


def problem_ids(path: Path) -> list[str]:
    """Return the problems of a table, each once, in order. Raises UserError."""
    check_columns(path)
    found: dict[str, None] = {}
    for batch in parquet.read_batches(path, lambda _: ["problem_id"]):
        found |= dict.fromkeys(pc.unique(batch["problem_id"]).to_pylist())
    if None in found:
        raise _null(path, "problem_id")
    return list(found)


def iterate_completions(
    path: Path, problems: Collection[str] | None = None, num_samples: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table of completions.

    problems, num_samples: only those problems, and of each only samples 0 to num_samples - 1.
    Raises UserError for a file that is missing or damaged, lacks a column or holds null where a
    value belongs, and for more rows than fit into parquet.MAX_ROWS_BYTES.
    """
    check_columns(path)
    wanted = None if problems is None else pa.array(list(problems), pa.string())

    def keep(batch: pa.RecordBatch) -> pa.Array:
        ids = batch["problem_id"].cast(pa.string())
        mask = pc.is_in(ids, wanted) if wanted is not None else pc.is_valid(ids)
        if num_samples is not None:
            mask = pc.and_(mask, pc.less(batch["sample"], num_samples))
        return mask

    some = keep if problems is not None or num_samples is not None else None
    for row in parquet.read_rows(path, keep=some, max_bytes=parquet.MAX_ROWS_BYTES):
        for name in _NEVER_NULL:
            if row[name] is None:
                raise _null(path, name)
        yield row


def iterate_judged(path: Path) -> Iterator[dict[str, Any]]:
    """Yield all rows, with checked outcomes, for a reader that counts verdicts.

    Raises UserError as iterate_completions does, and for an outcome that is none.
    """
    outcomes = [f"outcome/{part}" for part in check_columns(path)]
    for row in iterate_completions(path):
        for name in outcomes:
            if row[name] is not None and row[name] not in _OUTCOMES:
                raise UserError(
                    f'{path}: column "{name}" holds {row[name][:40]!r}; restore the file.'
                )
        yield row


def read_completions(path: Path) -> list[dict[str, Any]]:
    """Return all rows of a table of completions. Raises UserError as iterate_completions does."""
    return list(iterate_completions(path))


def read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    """Return columns of a table of completions; others may be missing. Raises UserError."""
    parquet.require_types(path, {name: kind for name in names if (kind := _kind_of(name))})
    table = parquet.read_columns(path, names)
    for name in names:
        if name in _NEVER_NULL and table[name].null_count:
            raise _null(path, name)
    return table


def _kind_of(name: str) -> tuple[str, ...] | None:
    """Return the kinds that a column may have; None for a column that completions lack."""
    part = name.partition("/")[0]
    return _KINDS.get(name) or _NEWER.get(name) or _KINDS_OF_PARTS.get(part)


def _null(path: Path, name: str) -> UserError:
    return UserError(f'{path}: column "{name}" holds null; restore the file.')
