"""Traces for people to read and mend (paper: human post-processing of cold-start data).

    num = export_review(samples, folder)

writes, for a data set of this package,

    review.md          to edit, or
    review.jsonl       to edit
    original.jsonl     the rows as they were; not to be edited
    export.json        hashes of the three, by which the import knows which one was edited
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1.curation.review_format import to_jsonl, to_markdown, trace_of
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.files.shapes import read_json, read_json_lines
from r1.run_dir import atomic

REVIEW_MD, REVIEW_JSONL = "review.md", "review.jsonl"
ORIGINAL, EXPORT = "original.jsonl", "export.json"


def export_review(samples: Path, folder: Path, ids: Sequence[str] | None = None) -> int:
    """Write the traces of a data set into `folder` for review; return how many.

    ids: only these rows, in the data set's order. Raises UserError where one does not exist, where
    there is nothing to review, and where the folder holds an export already: it may be edited.
    """
    if (folder / EXPORT).exists():
        raise UserError(
            f"{folder} holds an export already, perhaps with edits. Import it, or give another "
            "folder."
        )
    wanted = None if ids is None else set(ids)
    rows = [row for row in read_rows(samples) if wanted is None or row["id"] in wanted]
    if wanted is not None and len(rows) < len(wanted):
        missing = sorted(wanted - {row["id"] for row in rows})
        raise UserError(f"{samples} has no row {missing[0]!r}; see its id column.")
    if not rows:
        raise UserError(f"{samples} has no rows to review.")
    atomic.make_folder(folder)
    traces = [trace_of(row) for row in rows]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    atomic.write_text(folder / ORIGINAL, lines)
    atomic.write_text(folder / REVIEW_MD, to_markdown(traces))
    atomic.write_text(folder / REVIEW_JSONL, to_jsonl(traces))
    names = (ORIGINAL, REVIEW_MD, REVIEW_JSONL)
    atomic.write_json(folder / EXPORT, {name: atomic.sha256(folder / name) for name in names})
    return len(rows)


def read_originals(folder: Path) -> list[dict[str, Any]]:
    """The exported rows; UserError where they were changed or are not there."""
    hashes = exported_hashes(folder)
    path = folder / ORIGINAL
    if not path.is_file() or atomic.sha256(path) != hashes[ORIGINAL]:
        raise UserError(f"{path} was changed or is gone; bring back the exported file.")
    return list(read_json_lines(path))


def edited_file(folder: Path) -> Path:
    """Which of the two files people edited; review.jsonl where neither was.

    Raises UserError where both were.
    """
    hashes = exported_hashes(folder)
    changed = [
        folder / name
        for name in (REVIEW_JSONL, REVIEW_MD)
        if (folder / name).is_file() and atomic.sha256(folder / name) != hashes[name]
    ]
    if len(changed) == 2:
        raise UserError(f"{changed[0]} and {changed[1]} were both edited; name the one to import.")
    return changed[0] if changed else folder / REVIEW_JSONL


def exported_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files as they were exported; UserError where nothing was."""
    path = folder / EXPORT
    hashes = read_json(path, shape=dict[str, str])
    if hashes is None or not {ORIGINAL, REVIEW_MD, REVIEW_JSONL} <= hashes.keys():
        raise UserError(f"{folder} holds no export for review ({EXPORT} is missing or not whole).")
    return hashes
