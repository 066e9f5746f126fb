"""The folder of `r1 eval`: its request, its blocks of judged completions, its figures; and the
words for an evaluation's outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from r1.files.shapes import open_shape, read_json
from r1.run_dir.read import is_run
from r1.run_dir.shapes import Origin, Summary

REQUEST, BLOCKS, RESULT = "request.json", "blocks", "evaluation.json"
COMPLETIONS = "completions.parquet"
"""Of a stage's evaluation, in place of blocks."""
SEARCHES, SEARCH_RESULT, SEARCH_PAGE = "searches", "search.json", "search.html"
"""Of a search: its records, the figures of its choices, and the page of both, written last."""


@open_shape
class EvaluationRequest(TypedDict, total=False):
    """request.json"""

    model: Origin
    search: dict[str, Any]


def is_evaluation(folder: Path) -> bool:
    """Whether `folder` holds a stand-alone evaluation, finished or not."""
    return (folder / REQUEST).is_file() and not is_run(folder)


def read_request(folder: Path) -> dict[str, Any]:
    """Return the request: model, template, rewards, sampling."""
    found: dict[str, Any] = read_json(folder / REQUEST, {}, EvaluationRequest)
    return found


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the figures; None if the evaluation has not ended."""
    found: dict[str, Any] | None = read_json(folder / RESULT, shape=Summary)
    return found


def block_files(folder: Path) -> list[Path]:
    """Return the files of completions, one per block."""
    return sorted((folder / BLOCKS).glob("*.parquet"))


def outcomes_line(outcomes: Mapping[str, int], cut_share: float | None = None) -> str:
    """Summarise outcomes, the most frequent first: "40 of 40 unparseable"; "" without any.

    cut_share: share of responses that the token limit cut, if known. Where it explains why most are
    unparseable, the limit is named; else the place where answers are read.
    """
    total = sum(outcomes.values())
    counts = sorted(((n, name) for name, n in outcomes.items() if n), reverse=True)
    line = ", ".join(f"{n:,} of {total:,} {name}" for n, name in counts)
    if outcomes.get("unparseable", 0) * 2 > total:
        line += (
            "; most responses were cut at sampling.max_new_tokens before an answer"
            if (cut_share or 0.0) > 0.5
            else "; no answer was found where rewards.answer_from says that it stands"
        )
    return line
