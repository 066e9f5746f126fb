"""The folder of `r1 eval`: its request, its blocks of judged completions, its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.files.shapes import read_json
from r1.run_dir.read import is_run

REQUEST, BLOCKS, RESULT = "request.json", "blocks", "evaluation.json"


def is_evaluation(folder: Path) -> bool:
    """True where `folder` is that of an evaluation by itself, finished or not."""
    return (folder / REQUEST).is_file() and not is_run(folder)


def read_request(folder: Path) -> dict[str, Any]:
    """What was asked for: model, template, rewards, sampling."""
    found: dict[str, Any] = read_json(folder / REQUEST, {})
    return found


def read_result(folder: Path) -> dict[str, Any] | None:
    """The figures; None where the evaluation has not ended."""
    found: dict[str, Any] | None = read_json(folder / RESULT)
    return found


def block_files(folder: Path) -> list[Path]:
    """The completions, a file a block."""
    return sorted((folder / BLOCKS).glob("*.parquet"))
