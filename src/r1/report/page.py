"""The report of one run as one page, with everything inline and no network (see assets.py)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from r1.diagnose import Diagnosis, diagnose
from r1.report.assets import fill_page
from r1.report.browser import Browser, browser_html
from r1.report.diagnosed import diagnosis_section
from r1.report.figures import Chart, health_charts, main_charts
from r1.report.load import EVALUATION, RunData, load_run
from r1.report.preferences import PREFERENCE_CHARTS
from r1.report.sample import Sample, take_sample
from r1.report.summary import summarise
from r1.report.tables import families, headline, key_values, lineage_rows, status
from r1.report.thin import for_page
from r1.report.time_table import gap_note, time_section
from r1.report.time_use import time_charts
from r1.run_dir.atomic import write_text
from r1.run_dir.recipe_check import flatten

PAGE_NAME = "report.html"


def build_run_report(folder: Path) -> Path:
    """Write report.html into the folder of a run or an evaluation and return its path.

    Works on one that is still going, too. Raises UserError where `folder` is neither.
    """
    run = load_run(Path(folder))
    path = run.folder / PAGE_NAME
    write_text(path, render(run, take_sample(run.folder), diagnose(run.folder)))
    return path


def render(run: RunData, sample: Sample, found: Sequence[Diagnosis]) -> str:
    """Return the page as text."""
    figures = {
        # an evaluation by itself is one point, which the headline already names
        "main": [for_page(chart) for chart in _main_charts(run) if run.kind != EVALUATION],
        "health": [for_page(chart) for chart in health_charts(run)],
        "time": [for_page(chart) for chart in time_charts(run)],
    }
    summary = summarise(run)
    return fill_page(
        "page.html",
        ("charts.js", "completion.js", "run.js"),
        ("report.css",),
        {"figures": figures, "summary": summary, "few": sample.few},
        sample.packed,
        name=escape(run.folder.resolve().name),
        kind=escape(run.kind),
        status=status(run),
        headline=headline(run, summary),
        families=families(run),
        diagnosis=diagnosis_section(run, found),
        gap=escape(gap_note(run)),
        time=time_section(run),
        settings=key_values(flatten(run.recipe)),
        versions=key_values(run.versions),
        lineage=lineage_rows(run.lineage),
        completions=browser_html(_browser(sample)),
    )


def _browser(sample: Sample) -> Browser:
    return Browser(
        title="Completions",
        listed="Completions",
        searched="problems and completions",
        note=f"Showing {sample.shown:,} of {sample.total:,} completions of this run.",
        without_script="The completions need JavaScript. They are in the run's folder.",
        filters={"step": "Step", "family": "Family", "language": "Language", "outcome": "Outcome"},
        empty=not sample.total,
    )


def _main_charts(run: RunData) -> list[Chart]:
    learnt = [chart for chart in (make(run) for make in PREFERENCE_CHARTS) if chart.series]
    return [*main_charts(run), *learnt]
