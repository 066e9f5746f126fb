"""The tables of the page as HTML: the paper's table beside models, outcomes, the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from r1.benchmarks.page.contests import CODEFORCES, CONTEST_ROWS, ContestRow
from r1.benchmarks.page.order import grouped
from r1.benchmarks.page.results import ModelResults, PageResult, Row
from r1.benchmarks.page.samples import TokenFigures
from r1.benchmarks.running.figures import OUTCOMES

Tokens = Mapping[tuple[str, str], TokenFigures | None]
"""Tokens of a response, by model's title and benchmark."""


def paper_table(
    models: Sequence[ModelResults], rows: Mapping[str, Row], columns: Iterable[str]
) -> str:
    """The rows of a table of the paper with its published columns, and each model beside them.

    Columns without a figure are left out. Bold: the highest of a row. A score has its mark beside
    R1's (`Row.mark`). Codeforces has two rows where the paper's columns do.
    """
    known = [row.published for row in rows.values()]
    if CODEFORCES in rows:
        known += [row.published for row in CONTEST_ROWS]
    paper = [name for name in columns if any(name in published for published in known)]
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in paper)
    own = "".join(f'<th class="number own">{escape(model.title)}</th>' for model in models)
    body = []
    for group, names in grouped(rows):
        width = 1 + len(paper) + len(models)
        body.append(f'<tr class="group"><th colspan="{width}">{escape(group)}</th></tr>')
        for name in names:
            if name == CODEFORCES:
                body += [_contest_row(row, models, paper) for row in CONTEST_ROWS]
            else:
                body.append(_paper_row(rows[name], models, paper))
    return html_table("stages", f"<th></th>{head}{own}", body)


def _paper_row(row: Row, models: Sequence[ModelResults], paper: Sequence[str]) -> str:
    published = [row.published.get(name) for name in paper]
    scores = [row.score(model.results.get(row.name)) for model in models]
    own = [None if score is None else 100 * score["value"] for score in scores]
    best = max((round(value, 1) for value in [*published, *own] if value is not None), default=None)
    cells = [_cell(value, best) for value in published]
    for model, score, value in zip(models, scores, own, strict=True):
        low_high = f"{100 * score['low']:.1f} – {100 * score['high']:.1f}" if score else ""
        mark = row.mark(model.results.get(row.name)) if "R1" in paper else ""
        cells.append(_cell(value, best, low_high, "own", mark=mark))
    return f'<tr><th scope="row">{escape(row.title)}</th>{"".join(cells)}</tr>'


def _contest_row(row: ContestRow, models: Sequence[ModelResults], paper: Sequence[str]) -> str:
    published = [row.published.get(name) for name in paper]
    own = [row.value(model.results.get(CODEFORCES)) for model in models]
    best = max((round(value, 1) for value in [*published, *own] if value is not None), default=None)
    cells = [_cell(value, best, places=row.places) for value in published]
    cells += [_cell(value, best, kind="own", places=row.places) for value in own]
    return f'<tr><th scope="row">{escape(row.title)}</th>{"".join(cells)}</tr>'


def _cell(
    value: float | None,
    best: float | None,
    below: str = "",
    kind: str = "",
    mark: str = "",
    places: int = 1,
) -> str:
    if value is None:
        return f'<td class="number none {kind}">–</td>'
    strong = " strong" if round(value, 1) == best else ""
    range_ = f'<span class="range">{below}</span>' if below else ""
    told = f'<span class="value{strong}">{value:.{places}f}{mark and f" {mark}"}</span>'
    return f'<td class="number {kind}">{told}{range_}</td>'


def outcome_table(models: Sequence[ModelResults], rows: Mapping[str, Row], tokens: Tokens) -> str:
    """The shares of samples that ended each way, in per cent, and the tokens of a response.

    tokens: where it is empty, only their mean is shown.
    """
    names = [*OUTCOMES, *_further(models)]
    used = [name for name in names if any(_share(r, name) for m in models for r in _of(m))]
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in used)
    columns = ("tokens, mean", "median", "9 of 10 below")[: 3 if tokens else 1]
    head += "".join(f'<th class="number">{name}</th>' for name in columns)
    body = []
    for _, members in grouped(rows):
        for name in members:
            for model in models:
                if (result := model.results.get(name)) is not None:
                    told = tokens.get((model.title, name)) if tokens else (result["mean_tokens"],)
                    body.append(_outcome_row(rows[name], model, result, used, told))
    return html_table("plain", f"<th>benchmark</th><th>model</th>{head}", body)


def _outcome_row(
    row: Row,
    model: ModelResults,
    result: PageResult,
    used: Sequence[str],
    told: Sequence[float] | None,
) -> str:
    shares = "".join(_number(f"{100 * _share(result, name):.1f}") for name in used)
    counts = "".join(_number(f"{value:,.0f}") for value in told) if told else _number("–") * 3
    first = f'<th scope="row">{escape(row.title)}</th><td>{escape(model.title)}</td>'
    return f"<tr>{first}{shares}{counts}</tr>"


def protocol_table(models: Sequence[ModelResults], rows: Mapping[str, Row]) -> str:
    """How each benchmark was measured, and where that is not the paper's way."""
    body = []
    for _, members in grouped(rows):
        for name in members:
            for model in models:
                if (result := model.results.get(name)) is not None:
                    body.append(_protocol_row(rows[name], model, result))
    columns = ("benchmark", "model", "questions", "k", "protocol", "rows", "departs in")
    return html_table("plain", "".join(f"<th>{name}</th>" for name in columns), body)


def _protocol_row(row: Row, model: ModelResults, result: PageResult) -> str:
    refused = sum(result["refused"].values())
    departures = [*result["departures"], *([f"{refused:,} rows refused"] if refused else [])]
    texts = (result["protocol"], result["layout"], "; ".join(departures) or "nothing")
    return (
        f'<tr><th scope="row">{escape(row.title)}</th><td>{escape(model.title)}</td>'
        f"{_number(format(result['num_questions'], ','))}{_number(str(result['k']))}"
        f"{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>"
    )


def html_table(kind: str, head: str, body: Iterable[str]) -> str:
    """Return a table that scrolls where it is too wide. kind: a class of the style sheet."""
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _number(text: str) -> str:
    return f'<td class="number">{text}</td>'


def _of(model: ModelResults) -> Iterable[PageResult]:
    return model.results.values()


def _share(result: Mapping[str, Any], name: str) -> float:
    return float(result["outcomes"].get(name) or 0.0)


def _further(models: Sequence[ModelResults]) -> list[str]:
    """Outcomes that the judged benchmarks alone have."""
    found = dict.fromkeys(name for m in models for r in _of(m) for name in r["outcomes"])
    return [name for name in found if name not in OUTCOMES]
