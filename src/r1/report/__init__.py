"""The report of a run or a pipeline: one self-contained page, JSON, and pictures.

Reads folders and nothing else; torch-free.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.report.page import build_run_report
from r1.report.pictures import save_run_figures
from r1.report.pipeline.load import is_pipeline
from r1.report.pipeline.page import build_pipeline_report
from r1.report.pipeline.pictures import save_pipeline_figures
from r1.report.pipeline.summary import pipeline_json
from r1.report.summary import run_json

__all__ = ["build_report", "report_json", "save_figures"]


def build_report(folder: Path, further: str = "") -> Path:
    """Write report.html into the folder of a run or a pipeline, and return its path.

    further: HTML of more sections, of a pipeline. Works on one that is still going, too. Raises
    UserError where `folder` is neither.
    """
    folder = Path(folder)
    if is_pipeline(folder):
        return build_pipeline_report(folder, further)
    return build_run_report(folder)


def report_json(folder: Path) -> dict[str, Any]:
    """Return the report's figures for programs (`run_json`, `pipeline_json`). Raises UserError."""
    folder = Path(folder)
    return pipeline_json(folder) if is_pipeline(folder) else run_json(folder)


def save_figures(folder: Path, out: Path) -> list[Path]:
    """Write the main figures as PNG files into `out`; return their paths. Raises UserError."""
    folder, out = Path(folder), Path(out)
    draw = save_pipeline_figures if is_pipeline(folder) else save_run_figures
    return draw(folder, out)
