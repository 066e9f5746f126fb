"""Results of `r1 bench run` as one page, with everything inline and no network (r1.report.assets).

Left out on purpose: GPQA's questions, which must not stand in plain text on the internet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from r1.benchmarks.page.browse import take_samples
from r1.benchmarks.page.contests import CODEFORCES, CONTEST_ROWS
from r1.benchmarks.page.drawing import Bar, BarGroup, CapLine, bars_svg, caps_svg
from r1.benchmarks.page.order import BARS, TABLE_4, TABLE_5, figure_1_first
from r1.benchmarks.page.parts import parts_table, told_lines
from r1.benchmarks.page.results import ModelResults, Row, read_models, rows_of
from r1.benchmarks.page.samples import (
    WeighedSamples,
    cap_curve,
    judged_curve,
    read_samples,
    token_figures,
)
from r1.benchmarks.page.tables import outcome_table, paper_table, protocol_table
from r1.benchmarks.running.against import LEGEND
from r1.errors import UserError
from r1.files.regular import open_file
from r1.files.shapes import made_of
from r1.intervals import Interval
from r1.report.assets import fill_page
from r1.report.browser import Browser, browser_html
from r1.report.sample import Sample
from r1.run_dir.atomic import make_folder, write_text

_BEGINS = b"<!doctype html"
Stored = Mapping[tuple[str, str], WeighedSamples]
"""By model's title and benchmark."""


def write_page(folders: Sequence[Path], path: Path) -> None:
    """Write the page of one or more folders. Raises UserError where one holds no result."""
    models = read_models(folders)
    make_folder(path.parent)
    write_text(path, render(models))


def refuse_other_file(path: Path) -> None:
    """Raise UserError where the page would be written over a file that is none."""
    if not path.is_file():
        return
    with open_file(path) as file:
        if not file.read(len(_BEGINS)).lower().startswith(_BEGINS):
            raise UserError(f"{path} is there and is no page; give another name to --page.")


def render(models: Sequence[ModelResults]) -> str:
    """Return the page as text."""
    rows = rows_of(models)
    stored = {
        (model.title, name): read_samples(model.folder / name, result["metric"])
        for model in models
        for name, result in model.results.items()
    }
    sample = take_samples(models, rows)
    hidden = [row.title for row in rows.values() if row.hidden]
    table_5 = any(name in row.published for row in rows.values() for name in TABLE_5)
    title = ", ".join(model.title for model in models)
    return fill_page(
        "benchmarks.html",
        ("charts.js", "completion.js", "stages.js"),
        ("report.css", "pipeline.css", "benchmarks.css"),
        {"figures": [], "checkpoints": [m.title for m in models], "few": sample.few},
        sample.packed,
        name=escape(title),
        status=escape(f"{len(rows)} benchmarks, {sample.total:,} samples"),
        bars=bars_svg(_bar_groups(models, rows)),
        models=_legend(models, {}),
        legend=_legend(models, rows),
        marks=escape(LEGEND),
        table_4=paper_table(models, rows, TABLE_4),
        table_5=_table_5(models, rows) if table_5 else "",
        caps=_caps(models, rows, stored),
        outcomes=outcome_table(
            models, rows, {key: token_figures(samples) for key, samples in stored.items()}
        ),
        parts=_parts(models, rows),
        protocol=protocol_table(models, rows),
        completions=browser_html(_browser(sample, hidden)),
    )


def _browser(sample: Sample, hidden: Sequence[str]) -> Browser:
    unsaid = f" Not shown, so as not to publish them: {', '.join(hidden)}." if hidden else ""
    return Browser(
        title="Samples",
        listed="Questions",
        searched="questions and samples",
        note=f"Showing {sample.shown:,} of {sample.total:,} samples.{unsaid}",
        without_script="The samples need JavaScript. They are in the folders of results.",
        filters={
            "family": "Benchmark",
            "language": "Language",
            "outcome": "Outcome",
            "checkpoint": "of",
        },
        empty=not sample.shown,
    )


def _bar_groups(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> list[BarGroup]:
    groups = []
    for name in figure_1_first(rows):
        beaten = CONTEST_ROWS[0] if name == CODEFORCES else None
        bars = []
        for place, model in enumerate(models):
            result = model.results.get(name) or {}
            score = rows[name].score(result or None)
            interval = made_of(Interval, score) if score else None
            if beaten is not None:
                value, interval = beaten.value(result), None
                value = value and value / 100
            else:
                value = interval and interval.value
            bars.append(Bar(model.title, _tone(place), value, interval))
        published = rows[name].published if beaten is None else beaten.published
        for place, paper in enumerate(BARS):
            theirs = published.get(paper)
            bars.append(Bar(paper, _paper_tone(place), None if theirs is None else theirs / 100))
        groups.append(BarGroup(rows[name].title if beaten is None else beaten.title, bars))
    return groups


def _legend(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> str:
    own = [(_tone(place), model.title) for place, model in enumerate(models)]
    there = [any(name in row.published for row in rows.values()) for name in BARS]
    paper = [
        (_paper_tone(place), f"{name}, by the paper")
        for place, name in enumerate(BARS)
        if there[place]
    ]
    return "".join(
        f'<span class="{tone}"><i class="stacked"></i>{escape(name)}</span>'
        for tone, name in own + paper
    )


def _caps(models: Sequence[ModelResults], rows: Mapping[str, Row], stored: Stored) -> str:
    """A small figure for each benchmark that has verdicts; nothing where none has."""
    figures = []
    for name in figure_1_first(rows):
        lines = []
        for place, model in enumerate(models):
            if (result := model.results.get(name)) is None:
                continue
            limit = int(result["sampling"]["max_new_tokens"])
            caps = result.get("caps")  # of a judged benchmark
            curve = (
                judged_curve(caps, limit) if caps else cap_curve(stored[model.title, name], limit)
            )
            if curve is not None:
                lines.append(CapLine(model.title, _tone(place), curve))
        if lines:
            figures.append(
                f"<figure><figcaption><b>{escape(rows[name].title)}</b></figcaption>"
                f"{caps_svg(lines)}</figure>"
            )
    return "".join(figures)


def _table_5(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> str:
    there = {
        name: row for name, row in rows.items() if any(each in row.published for each in TABLE_5)
    }
    return (
        "<h2>Beside the distilled models</h2><p class='note'>The paper's table 5.</p>"
        + paper_table(models, there, TABLE_5)
    )


def _parts(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> str:
    """Folded away: there may be many."""
    found = parts_table(models, rows) + told_lines(models, rows)
    return f"<details><summary>Parts and further figures</summary>{found}</details>" * bool(found)


def _tone(place: int) -> str:
    return f"tone-{(0, 2, 3, 4)[place % 4]}"


def _paper_tone(place: int) -> str:
    """R1 has a colour of its own, the others are greys."""
    return f"paper-{place}"
