"""The folder of `r1 eval`: its request, its blocks of judged completions, its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.files.shapes import read_json
from r1.run_dir.read import is_run

REQUEST, BLOCKS, RESULT = "request.json", "blocks", "evaluation.json"


def is_evaluation(folder: Path) -> bool:
    """Whether `folder` holds a stand-alone evaluation, finished or not."""
    return (folder / REQUEST).is_file() and not is_run(folder)


def read_request(folder: Path) -> dict[str, Any]:
    """Return the request: model, template, rewards, sampling."""
    found: dict[str, Any] = read_json(folder / REQUEST, {})
    return found


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the figures; None if the evaluation has not ended."""
    found: dict[str, Any] | None = read_json(folder / RESULT)
    return found


def block_files(folder: Path) -> list[Path]:
    """Return the files of completions, one per block."""
    return sorted((folder / BLOCKS).glob("*.parquet"))
