"""The completions inside the page: a sample that fits, packed small.

Every evaluation's completions come first, then whole groups of evenly spaced training steps. When
that is too much for a page, fewer problems are taken, the same ones in every evaluation, so that a
problem can still be read before and after. The page says how many of how many it shows.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from r1.files.parquet import count_rows
from r1.report.load import spread
from r1.run_dir.checkpoint import numbered
from r1.run_dir.evaluation import block_files, is_evaluation
from r1.run_dir.read import evaluation_path, rollout_steps, rollouts_path
from r1.run_dir.stored import iterate_completions, problem_ids

MAX_PACKED_BYTES = 4_500_000  # base64 makes a third more of it
MAX_TEXT_CHARS = 40_000
_FALLBACK_ROWS = 24


class Share(NamedTuple):
    """The size of a sample: evaluations, problems of each, training steps, problems of each."""

    evaluations: int
    evaluation_problems: int
    training_steps: int
    training_problems: int


_LAST_SHARE = Share(2, 1, 2, 1)
_FIRST_SHARE = Share(40, evaluation_problems=1_000, training_steps=60, training_problems=4)


@dataclass(frozen=True, slots=True)
class Sample:
    """A packed sample. packed: base64 of gzipped JSON; few: some rows unpacked, for browsers that
    cannot unpack; shown and total count completions."""

    packed: str
    few: dict[str, Any]
    shown: int
    total: int


def take_sample(folder: Path, max_bytes: int = MAX_PACKED_BYTES) -> Sample:
    """Choose and pack completions of a run; packed stays below max_bytes if possible."""
    share = _FIRST_SHARE
    while True:
        rows = _rows(folder, share)
        table = encode(rows)
        packed = gzip.compress(_json(table), compresslevel=6, mtime=0)
        smaller = Share(
            *(max(least, part // 2) for part, least in zip(share, _LAST_SHARE, strict=True))
        )
        if len(packed) <= max_bytes or smaller == share:
            break
        share = smaller
    few = encode(spread_rows(rows, _FALLBACK_ROWS))
    return Sample(base64.b64encode(packed).decode("ascii"), few, len(rows), _count(folder))


def encode(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return rows in the page's form: problems and part names once, a list per completion.

    A completion is [problem, is_evaluation, step, sample, text, thinking span, answer span,
    finish_reason, num_tokens, reward, valid, advantage, [[value, outcome, detail] of each part]];
    a span is [start, end] in text, null where the response has no such part.
    """
    problems: dict[tuple[str, str], int] = {}
    described: list[list[Any]] = []
    parts = list(dict.fromkeys(key[7:] for row in rows for key in row if key.startswith("reward/")))
    completions = []
    for row in rows:
        key = (row["problem_id"], row["prompt"])
        if key not in problems:
            problems[key] = len(problems)
            names = ("problem_id", "prompt", "reference", "family", "language")
            described.append([row[name] for name in names])
        completions.append(_encode_completion(row, problems[key], parts))
    return {"problems": described, "parts": parts, "completions": completions}


def _encode_completion(row: dict[str, Any], problem: int, parts: list[str]) -> list[Any]:
    text = row["text"]
    shown = text if len(text) <= MAX_TEXT_CHARS else text[:MAX_TEXT_CHARS] + " … (cut)"
    return [
        problem,
        int(row["is_evaluation"]),
        row["step"],
        row["sample"],
        shown,
        _span(shown, row["thinking"], last=False),
        _span(shown, row["answer"], last=True),
        row["finish_reason"],
        row["num_tokens"],
        _short(row["reward"]),
        int(row["valid"]),
        _short(row["advantage"]),
        [_judgement(row, part) for part in parts],
    ]


def _judgement(row: dict[str, Any], part: str) -> list[Any] | None:
    if row.get(f"reward/{part}") is None:
        return None
    return [_short(row[f"reward/{part}"]), row[f"outcome/{part}"], row[f"detail/{part}"]]


def _short(value: float | None) -> float | None:
    """Round to four digits; NaN becomes None, as JSON lacks it."""
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _span(text: str, part: str | None, last: bool) -> list[int] | None:
    """Return a part's position in the text, in UTF-16 units as JavaScript counts them."""
    if part is None:
        return None
    start = text.rfind(part) if last else text.find(part)
    if start < 0:
        return None
    first = len(text[:start].encode("utf-16-le")) // 2
    return [first, first + len(part.encode("utf-16-le")) // 2]


def _rows(folder: Path, share: Share) -> list[dict[str, Any]]:
    """Return the chosen completions: evaluations from last to first, then training steps."""
    rows: list[dict[str, Any]] = []
    if is_evaluation(folder):
        return _of_problems(block_files(folder), share.evaluation_problems, is_evaluation=True)
    for step in reversed(spread(_evaluation_steps(folder), share.evaluations)):
        found = [evaluation_path(folder, step)]
        rows += _of_problems(found, share.evaluation_problems, is_evaluation=True, step=step)
    for step in spread(rollout_steps(folder), share.training_steps):
        found = [rollouts_path(folder, step)]
        rows += _of_problems(found, share.training_problems, is_evaluation=False, step=step)
    return rows


def _of_problems(
    paths: Sequence[Path], limit: int, is_evaluation: bool, step: int | None = None
) -> list[dict[str, Any]]:
    """Return all samples of at most `limit` problems, evenly spaced, with the first problem.

    step: what to show in place of the step that the rows hold.
    """
    ids = [name for path in paths for name in problem_ids(path)]
    if len(ids) > limit:
        ids = [ids[index * len(ids) // limit] for index in range(limit)]
    mark = {"is_evaluation": is_evaluation} | ({} if step is None else {"step": step})
    return [{**row, **mark} for path in paths for row in iterate_completions(path, ids)]


def spread_rows(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` rows, evenly spaced."""
    return [rows[index] for index in spread(list(range(len(rows))), limit)]


def _evaluation_steps(folder: Path) -> list[int]:
    return numbered(folder / "evaluations", ".parquet")


def _count(folder: Path) -> int:
    """Count all stored completions, from the files' footers."""
    if is_evaluation(folder):
        return sum(count_rows(path) for path in block_files(folder))
    paths = [
        *(rollouts_path(folder, step) for step in rollout_steps(folder)),
        *(evaluation_path(folder, step) for step in _evaluation_steps(folder)),
    ]
    return sum(count_rows(path) for path in paths)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
