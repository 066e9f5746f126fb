"""The samples inside the page: the same questions for every model, as many as fit.

In the packed table the "step" of a completion is the place of its model, and its family is the
benchmark. Questions that must not be published are left out, and what they were is said.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from r1.benchmarks.page.results import ModelResults, Row
from r1.benchmarks.running.figures import outcome_of
from r1.evaluation.summary import ACCURACY
from r1.files.parquet import count_rows
from r1.report.sample import MAX_PACKED_BYTES, Sample, encode, spread_rows
from r1.run_dir.evaluation import block_files
from r1.run_dir.stored import iterate_completions, problem_ids

_OUTCOME = f"outcome/{ACCURACY}"


class _PageShare(NamedTuple):
    """Questions of each benchmark, and samples of each question."""

    questions: int
    samples: int


_FIRST, _LAST = _PageShare(64, 4), _PageShare(1, 1)


def take_samples(
    models: Sequence[ModelResults], rows: Mapping[str, Row], max_bytes: int = MAX_PACKED_BYTES
) -> Sample:
    """Choose and pack stored samples. Raises UserError for a damaged file."""
    share = _FIRST
    while True:
        found = list(_rows(models, rows, share))
        packed = gzip.compress(_json(encode(found)), compresslevel=6, mtime=0)
        if len(packed) <= max_bytes or share == _LAST:
            break
        share = _PageShare(max(1, share.questions // 2), max(1, share.samples // 2))
    few = encode(spread_rows(found, 24))
    total = sum(
        count_rows(path)
        for model in models
        for name in model.results
        for path in block_files(model.folder / name)
    )
    return Sample(base64.b64encode(packed).decode("ascii"), few, len(found), total)


def _rows(
    models: Sequence[ModelResults], rows: Mapping[str, Row], share: _PageShare
) -> Iterator[dict[str, Any]]:
    for name, row in rows.items():
        if row.hidden:
            continue
        chosen = _chosen(models, name, share.questions)
        for place, model in enumerate(models):
            if (result := model.results.get(name)) is None:
                continue
            opened = bool(result["begins_with_think"])
            judged = bool(result.get("judge"))
            mark = {"step": place, "family": row.title, "is_evaluation": True}
            for path in block_files(model.folder / name):
                for each in iterate_completions(path, chosen, share.samples):
                    told = "not judged" if judged else outcome_of(each, opened)
                    yield {**each, **mark, _OUTCOME: told}


def _chosen(models: Sequence[ModelResults], name: str, limit: int) -> list[str]:
    """At most `limit` questions at equal distances, those of the first model that has any."""
    for model in models:
        if name in model.results:
            ids = [each for path in block_files(model.folder / name) for each in problem_ids(path)]
            count = min(limit, len(ids))
            return [ids[index * len(ids) // count] for index in range(count)]
    return []


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
