"""The report as one page: everything inline, no network, safe with whatever a model wrote.

Completions are hostile text. They travel as base64 or as JSON with "<" escaped, the script puts
them into the page as text nodes only, and a content security policy allows no script but ours
(by its hash), no connection and no form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from r1.report.figures import health_charts, main_charts
from r1.report.load import RunData, load_run
from r1.report.sample import Sample, take_sample
from r1.report.summary import summarise
from r1.report.tables import families, headline, key_values, lineage_rows, status
from r1.run_dir.atomic import write_text
from r1.run_dir.recipe_check import flatten

PAGE_NAME = "report.html"


def build_report(folder: Path) -> Path:
    """Write report.html into a run folder and return its path.

    Works on a run that is still going, too. Raises UserError where `folder` is not a run.
    """
    run = load_run(Path(folder))
    path = run.folder / PAGE_NAME
    write_text(path, render(run, take_sample(run.folder)))
    return path


def render(run: RunData, sample: Sample) -> str:
    """The page as text."""
    script, style = _asset("report.js"), _asset("report.css")
    figures = {
        "main": [asdict(chart) for chart in main_charts(run)],
        "health": [asdict(chart) for chart in health_charts(run)],
    }
    summary = summarise(run)
    return Template(_asset("page.html")).substitute(
        name=escape(run.folder.resolve().name),
        kind=escape(run.kind),
        status=status(run),
        policy=escape(_policy(script)),
        style=style,
        script=script,
        headline=headline(run, summary),
        families=families(run),
        settings=key_values(flatten(run.recipe)),
        versions=key_values(run.versions),
        lineage=lineage_rows(run.lineage),
        figures=inline_json(figures),
        few=inline_json(sample.few),
        packed=sample.packed,
        shown=f"{sample.shown:,}",
        total=f"{sample.total:,}",
        summary=inline_json(summary),
    )


def inline_json(value: Any) -> str:
    """JSON that may stand inside a script element: no character of it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    rules: Iterable[str] = (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _asset(name: str) -> str:
    return resources.files("r1.report").joinpath(name).read_text(encoding="utf-8")
