"""The plain-HTML parts of the page: headline and tables. Every value is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from r1.report.load import EVALUATION, RunData
from r1.report.summary import by_step
from r1.run_dir.evaluation import outcomes_line


class Tile(NamedTuple):
    """One headline number: its old and new value, and a line of explanation."""

    label: str
    before: str | None
    now: str
    note: str


def status(run: RunData) -> str:
    """Return a word for whether the run or the evaluation has ended."""
    if run.kind == EVALUATION:
        if not run.evaluations:
            return '<span class="chip">not finished</span>'
        last = run.evaluations[-1]
        counts = escape(outcomes_line(last.get("outcomes", {}), last.get("truncated")))
        return f'<span class="chip good">finished</span> {counts}'
    steps = f"{run.num_steps} step{'' if run.num_steps == 1 else 's'}"
    if run.done:
        return f'<span class="chip good">finished</span> {steps}'
    return f'<span class="chip">not finished</span> {steps} so far'


def headline(run: RunData, summary: Mapping[str, Any]) -> str:
    """Return the tiles at the top: before and after, with intervals."""
    k = summary["k"] or "k"
    tiles = [
        _interval_tile("pass@1", summary["pass_at_1"]),
        _interval_tile(f"cons@{k}", summary["cons_at_k"]),
        _interval_tile("held-out preferences right", summary["accuracy"]),
        _change_tile("format kept", by_step(run.evaluations, "format"), percent),
        _change_tile("tokens a response", by_step(run.evaluations, "mean_length"), decimal),
        _change_tile("self-checking", by_step(run.evaluations, "self_check_share"), percent),
        _time_tile(summary["seconds"]),
    ]
    return "\n".join(tile_html(tile) for tile in tiles if tile)


def families(run: RunData) -> str:
    """Return a row per family: pass@1 before and after with intervals, and cons@k; of preferences
    the accuracy."""
    if not run.evaluations or not run.evaluations[-1].get("by_family"):
        return ""
    first, last = run.evaluations[0].get("by_family", {}), run.evaluations[-1]["by_family"]
    note = f"at step {run.evaluations[0]['step']} (hollow) and step {run.evaluations[-1]['step']} "
    if len(run.evaluations) == 1:
        first, note = {}, ""
    preferences = "accuracy" in run.evaluations[-1]
    measure, rows_are = ("accuracy", "rows") if preferences else ("pass@1", "problems")
    votes = "" if preferences else f"cons@{escape(str(run.evaluations[-1].get('k', 'k')))} after"
    rows = "\n".join(_family(name, first.get(name, {}), last[name]) for name in sorted(last))
    return (
        f'<section id="families"><h2>By family</h2><p class="note">Held-out {measure} '
        f"{note}(filled); "
        'bars are 95% intervals.</p><div class="scroll"><table><thead><tr><th>family</th>'
        f'<th class="number">{rows_are}</th><th class="wide">{measure}, 0 to 100%</th>'
        '<th class="number">before</th><th class="number">after</th>'
        f'<th class="number">{votes}</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def key_values(values: Mapping[str, Any]) -> str:
    """Return a two-column table; a word if it is empty."""
    if not values:
        return '<p class="note">nothing recorded</p>'
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code></td><td><code>{escape(_value(value))}</code></td></tr>"
        for key, value in values.items()
    )
    return f'<div class="scroll"><table class="pairs"><tbody>{rows}</tbody></table></div>'


def lineage_rows(lineage: Mapping[str, Any]) -> str:
    """Return the origin of weights and data, and every checkpoint's hash."""
    parent = lineage.get("parent") or {}
    sources = [("starts from", parent)] if parent else []
    sources += [("data", item) for item in lineage.get("datasets", [])]
    rows = [_origin(role, item.get("source", "?"), item.get("sha256")) for role, item in sources]
    rows += [
        _origin(f"after step {item['step']}", item.get("folder", ""), item.get("sha256"))
        for item in lineage.get("checkpoints", [])
    ]
    if not rows:
        return '<p class="note">nothing recorded</p>'
    return f'<div class="scroll"><table class="pairs"><tbody>{"".join(rows)}</tbody></table></div>'


def percent(value: float) -> str:
    """Format 0.7134 as 71.3%."""
    return f"{100 * value:.1f}%"


def decimal(value: float) -> str:
    """Format with about three significant digits: 61.3, 4,201."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Format seconds in a convenient unit."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"


def _interval_tile(label: str, pair: Mapping[str, Any]) -> Tile | None:
    before, after = pair["before"], pair["after"]
    if after["value"] is None:
        return None
    bounds = ""
    if after.get("low") is not None and after.get("high") is not None:
        bounds = f"95% CI {100 * after['low']:.1f}–{percent(after['high'])}"
    same = before == after or before["value"] is None
    began = None if same else percent(before["value"])
    return Tile(label, began, percent(after["value"]), bounds)


def _change_tile(label: str, values: list[dict[str, Any]], show: Any) -> Tile | None:
    if not values:
        return None
    peak = max(values, key=lambda item: item["value"])
    note = f"peak {show(peak['value'])} at step {peak['step']}"
    if len(values) == 1:
        return Tile(label, None, show(values[0]["value"]), "")
    return Tile(label, show(values[0]["value"]), show(values[-1]["value"]), note)


def _time_tile(seconds: Mapping[str, float]) -> Tile | None:
    if not seconds["total"]:
        return None
    phases = {name: value for name, value in seconds.items() if name != "total"}
    most = max(phases, key=lambda name: phases[name], default=None)
    note = f"{percent(phases[most] / seconds['total'])} of it {most}" if most else ""
    return Tile("time", None, duration(seconds["total"]), note)


def tile_html(tile: Tile) -> str:
    """Return a headline number as HTML."""
    before = (
        f'<span class="before">{escape(tile.before)}</span><span class="arrow">→</span>'
        if tile.before is not None
        else ""
    )
    return (
        f'<div class="tile"><div class="label">{escape(tile.label)}</div><div class="values">'
        f'{before}<span class="now">{escape(tile.now)}</span></div>'
        f'<div class="note">{escape(tile.note)}</div></div>'
    )


def _family(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old, new = (item.get("pass_at_1") or item for item in (before, after))
    votes = (after.get("cons_at_k") or {}).get("value")
    number = after.get("num_problems", after.get("num", ""))
    return (
        f'<tr><td>{escape(name)}</td><td class="number">{number}</td>'
        f'<td class="wide">{_bars(old, new)}</td>'
        f'<td class="number">{_percent_or_dash(old.get("value"))}</td>'
        f'<td class="number strong">{_percent_or_dash(new.get("value"))}</td>'
        f'<td class="number">{_percent_or_dash(votes)}</td></tr>'
    )


def _bars(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Draw two points with their intervals on an axis from 0 to 100 %."""
    shapes = [
        f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="28"/>' for x in (0, 25, 50, 75, 100)
    ]
    for kind, y, item in (("before", 9, before), ("after", 19, after)):
        if item.get("value") is None:
            continue
        low, high = item.get("low"), item.get("high")
        if low is not None and high is not None:
            shapes.append(
                f'<line class="bar {kind}" x1="{100 * low:.2f}" x2="{100 * high:.2f}" '
                f'y1="{y}" y2="{y}"/>'
            )
        shapes.append(
            f'<line class="dot {kind}" x1="{100 * item["value"]:.2f}" '
            f'x2="{100 * item["value"]:.2f}" y1="{y}" y2="{y}"/>'
        )
        if kind == "before":
            shapes.append(
                f'<line class="dot hole" x1="{100 * item["value"]:.2f}" '
                f'x2="{100 * item["value"]:.2f}" y1="{y}" y2="{y}"/>'
            )
    return (
        '<svg class="bars" viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(shapes)}</svg>"
    )


def _origin(role: str, name: str, digest: str | None) -> str:
    shown = f'<code title="{escape(digest)}">sha256 {escape(digest[:16])}…</code>' if digest else ""
    return (
        f"<tr><td>{escape(role)}</td><td><code>{escape(str(name))}</code></td><td>{shown}</td></tr>"
    )


def _percent_or_dash(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
