"""Completions of every evaluated checkpoint on the same problems, packed for the page.

When they are too many for a page, fewer problems and then fewer samples are taken; every family
keeps its share. In the packed table the "step" of a completion is the place of its checkpoint.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from r1.report.pipeline.load import EvaluationResults, PipelineData
from r1.report.pipeline.problems import completions_path
from r1.report.sample import MAX_PACKED_BYTES, Sample, encode, spread_rows
from r1.run_dir.stored import iterate_completions, read_columns

_FEW_PROBLEMS = 3


class _Share(NamedTuple):
    problems: int
    samples: int


_FIRST_SHARE, _LAST_SHARE = _Share(600, 16), _Share(1, 1)


def take_across(
    pipeline: PipelineData, order: Sequence[str], max_bytes: int = MAX_PACKED_BYTES
) -> tuple[Sample, list[str]]:
    """Choose and pack completions; also return the checkpoints' titles in order."""
    evaluations = [pipeline.evaluations[name] for name in order if name in pipeline.evaluations]
    evaluations = [item for item in evaluations if completions_path(item).is_file()]
    ids, total = _problems(evaluations)
    share = _FIRST_SHARE
    while True:
        rows = _rows(evaluations, _chosen(ids, share.problems), share.samples)
        packed = gzip.compress(_json(encode(rows)), compresslevel=6, mtime=0)
        if len(packed) <= max_bytes or share == _LAST_SHARE:
            break
        share = _smaller(share)
    few = encode(spread_rows(_of(rows, _chosen(ids, _FEW_PROBLEMS)), 40))
    titles = [pipeline.title(item.of) for item in evaluations]
    return Sample(base64.b64encode(packed).decode("ascii"), few, len(rows), total), titles


def _smaller(share: _Share) -> _Share:
    """Return a smaller choice; samples shrink first, since readers look for problems."""
    if share.samples > 4:
        return share._replace(samples=share.samples // 2)
    if share.problems > 40 or share.samples == 1:
        return share._replace(problems=max(1, share.problems // 2))
    return share._replace(samples=share.samples // 2)


def _problems(evaluations: Iterable[EvaluationResults]) -> tuple[list[tuple[str, str]], int]:
    """Return (family, id) of every answered problem, and the number of completions."""
    found: dict[tuple[str, str], None] = {}
    total = 0
    for evaluation in evaluations:
        table = read_columns(completions_path(evaluation), ["family", "problem_id"])
        total += table.num_rows
        pairs = zip(table["family"].to_pylist(), table["problem_id"].to_pylist(), strict=True)
        found |= dict.fromkeys(pairs)
    return list(found), total


def _chosen(ids: Sequence[tuple[str, str]], limit: int) -> set[str]:
    """Return at most `limit` problems, or one per family if there are more families."""
    by_family: dict[str, list[str]] = {}
    for family, name in ids:
        by_family.setdefault(family, []).append(name)
    chosen: set[str] = set()
    for names in by_family.values():
        count = min(len(names), max(1, limit * len(names) // max(1, len(ids))))
        chosen |= {names[index * len(names) // count] for index in range(count)}
    return chosen


def _rows(
    evaluations: Iterable[EvaluationResults], chosen: set[str], num_samples: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for place, evaluation in enumerate(evaluations):
        found = iterate_completions(completions_path(evaluation), chosen, num_samples)
        rows += [{**row, "step": place, "is_evaluation": True} for row in found]
    return rows


def _of(rows: Iterable[dict[str, Any]], chosen: set[str]) -> list[dict[str, Any]]:
    return [row for row in rows if row["problem_id"] in chosen and row["sample"] == 0]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
