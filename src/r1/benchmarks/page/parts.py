"""Scores of a benchmark's parts, and further figures, model beside model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from r1.benchmarks.page.order import grouped
from r1.benchmarks.page.results import ModelResults, PageResult, Row
from r1.benchmarks.page.tables import html_table


class _PartKey(NamedTuple):
    """A line of the table: a part by what it is a part of, or a figure."""

    kind: str
    name: str


def parts_table(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> str:
    """A line a part (a language, a difficulty) or figure (a judge's), in per cent; "" for none."""
    body = []
    for _, members in grouped(rows):
        for name in members:
            found = [dict(_figures(model.results.get(name) or {})) for model in models]
            for key in dict.fromkeys(key for each in found for key in each):
                values = "".join(f'<td class="number">{_percent(e.get(key))}</td>' for e in found)
                body.append(
                    f'<tr><th scope="row">{escape(rows[name].title)}</th>'
                    f"<td>{escape(key.kind)}</td><td>{escape(key.name)}</td>{values}</tr>"
                )
    own = "".join(f'<th class="number">{escape(model.title)}</th>' for model in models)
    head = f"<th>benchmark</th><th>by</th><th>part</th>{own}"
    return html_table("plain", head, body) if body else ""


def told_lines(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> str:
    """What benchmarks say in words of each model; "" for nothing."""
    lines = [
        f"<li>{escape(f'{rows[name].title}, {model.title}: {line}')}</li>"
        for model in models
        for name, result in model.results.items()
        for line in (result.get("further") or {}).get("told", ())
    ]
    return f"<ul class='facts'>{''.join(lines)}</ul>" if lines else ""


def _figures(result: PageResult) -> Iterator[tuple[_PartKey, float | None]]:
    for kind, parts in (result.get("parts") or {}).items():
        for part, told in parts.items():
            yield _PartKey(kind, part), _value(told.get("score"))
    for name, value in (result.get("figures") or {}).items():
        yield _PartKey("judged", name), value


def _value(score: Mapping[str, Any] | None) -> float | None:
    return None if score is None else float(score["value"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
