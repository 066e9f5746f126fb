"""The parts of the pipeline's page that are plain HTML. Every value is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from r1.intervals import Interval
from r1.report.pipeline.claims import Statement
from r1.report.pipeline.columns import Column, FigureRow
from r1.report.pipeline.contests import Ablation, Compute, Preference, Table6, preference_sentence
from r1.report.pipeline.graph import counts_of, short_number
from r1.report.pipeline.load import PipelineData, StageData
from r1.report.pipeline.metrics import METRICS, Unit, show, show_difference, show_range
from r1.report.tables import duration, percent

_CHIPS = {
    "as the paper": "good", "the opposite": "bad", "cannot be told": "unsure", "to come": "",
}  # fmt: skip


def stage_table(table: Sequence[Column], rows: Sequence[FigureRow]) -> str:
    """Return a table after the paper's Table 3: a column per checkpoint, "–" if not measured."""
    head = "".join(
        f'<th class="number{_edge(table, index)}">{escape(column.title)}</th>'
        for index, column in enumerate(table)
    )
    body, group = [], ""
    for row in rows:
        if row.group != group:
            group = row.group
            body.append(
                f'<tr class="group"><th colspan="{len(table) + 1}">{escape(group)}</th></tr>'
            )
        cells = "".join(
            _cell(cell, row.unit, index in row.best, _edge(table, index))
            for index, cell in enumerate(row.cells)
        )
        body.append(f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>')
    body.append(f'<tr class="group"><th colspan="{len(table) + 1}">Checkpoint</th></tr>')
    for label, key in (("parameters", "num_parameters"), ("samples a problem", "num_samples"),
                       ("problems", "num_problems"), ("template", "template")):  # fmt: skip
        cells = "".join(_about(column, key, _edge(table, i)) for i, column in enumerate(table))
        body.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table class="stages"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _edge(table: Sequence[Column], index: int) -> str:
    """Return the style of a line before the first student."""
    return " edge" if table[index].student and index and not table[index - 1].student else ""


def _cell(cell: Interval | None, unit: Unit, best: bool, edge: str) -> str:
    if cell is None:
        return f'<td class="number none{edge}">–</td>'
    bar = interval_bar(cell) if unit == "share" else ""
    return (
        f'<td class="number{edge}"><span class="value{" strong" if best else ""}">'
        f'{show(cell.value, unit)}</span><span class="range">{show_range(cell, unit)}</span>'
        f"{bar}</td>"
    )


def interval_bar(cell: Interval) -> str:
    """Draw a share and its interval on an axis from 0 to 100 %."""
    low, high, value = (100 * min(1.0, max(0.0, x)) for x in (cell.low, cell.high, cell.value))
    return (
        '<svg class="bars mini" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="grid" x1="0" x2="100" y1="3" y2="3"/>'
        f'<line class="bar" x1="{low:.1f}" x2="{high:.1f}" y1="3" y2="3"/>'
        f'<line class="dot" x1="{value:.1f}" x2="{value:.1f}" y1="3" y2="3"/></svg>'
    )


def _about(column: Column, key: str, edge: str) -> str:
    value = None if column.evaluation is None else column.evaluation.about.get(key)
    if value is None:
        return f'<td class="number none{edge}">–</td>'
    text = value if isinstance(value, str) else short_number(value)
    return f'<td class="number{edge}">{escape(text)}</td>'


def moved(found: Sequence[Statement], pipeline: PipelineData) -> str:
    """Return the statements by stage, each with its verdict."""
    if not found:
        return '<p class="note">No two stages have been measured yet.</p>'
    blocks = []
    for stage in dict.fromkeys(item.claim.after for item in found):
        lines = "".join(
            f'<li><span class="chip {_CHIPS[item.verdict]}">{item.verdict}</span>'
            f"<span>{escape(item.sentence)}</span></li>"
            for item in found
            if item.claim.after == stage
        )
        blocks.append(
            f'<div class="moved" data-stage="{escape(stage)}"><h3>{escape(pipeline.title(stage))}'
            f"</h3><ul>{lines}</ul></div>"
        )
    return f'<div class="moves">{"".join(blocks)}</div>'


def ablation_table(found: Ablation, pipeline: PipelineData) -> str:
    """Return the final figures of the runs with and without the language reward."""
    rows = "".join(
        f'<tr><th scope="row">{METRICS[metric].label}</th>'
        f"{_cell(plain, METRICS[metric].unit, False, '')}"
        f"{_cell(rewarded, METRICS[metric].unit, False, '')}"
        f"{_difference(found.differences[metric], METRICS[metric].unit)}</tr>"
        for metric, (plain, rewarded) in found.ends.items()
    )
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in found.sentences)
    return (
        f'{said}<div class="scroll"><table class="plain"><thead><tr><th>held-out, at the end</th>'
        f'<th class="number">{escape(pipeline.title(found.plain))}</th>'
        f'<th class="number">{escape(pipeline.title(found.stage))}</th>'
        f"<th>difference</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def table_6_html(found: Table6, pipeline: PipelineData) -> str:
    """Return the table of RL alone against distillation, and the cost of both."""
    rows = "".join(
        f'<tr><th scope="row">{"all problems" if label == "overall" else escape(label)}</th>'
        f"{_cell(alone, 'share', False, '')}{_cell(distilled, 'share', False, '')}"
        f"{_difference(found.differences[label], 'share')}</tr>"
        for label, (alone, distilled) in found.values.items()
    )
    costs = "".join(
        f'<tr><th scope="row">{label}</th>{_cost(found.compute[found.alone], key)}'
        f"{_cost(found.compute[found.distilled], key)}<td></td></tr>"
        for label, key in (("steps", "num_steps"), ("tokens learnt from", "tokens_trained"),
                           ("tokens computed in updates", "tokens_processed"),
                           ("seconds of the stage", "seconds"))
    )  # fmt: skip
    return (
        f'<p>{escape(found.sentence)}</p><div class="scroll"><table class="plain"><thead><tr>'
        f'<th>pass@1</th><th class="number">{escape(pipeline.title(found.alone))}<br>RL alone</th>'
        f'<th class="number">{escape(pipeline.title(found.distilled))}<br>distilled</th>'
        f"<th>difference</th></tr></thead><tbody>{rows}"
        f'<tr class="group"><th colspan="4">Compute of the stage alone</th></tr>{costs}'
        "</tbody></table></div>"
    )


def _cost(spent: Compute, key: str) -> str:
    value = spent._asdict()[key]
    text = "–" if value is None else duration(value) if key == "seconds" else short_number(value)
    return f'<td class="number">{text}</td>'


def _difference(found: object, unit: Unit) -> str:
    interval = getattr(found, "interval", None)
    text = "–" if interval is None else show_difference(interval, unit)
    how = "" if interval is None else "paired" if getattr(found, "paired", False) else "not paired"
    return f'<td class="told">{text} <span class="range">{how}</span></td>'


def preference_table(found: Sequence[Preference], before: str, after: str) -> str:
    """Return win, tie and loss of every measure, with the share and its interval."""
    if not found:
        return (
            f'<p class="note">{escape(after)} and {escape(before)} are not both measured yet.</p>'
        )
    rows = "".join(
        f'<tr><th scope="row">{METRICS[item.metric].label}</th>'
        f"{_cell(item.share, 'share', False, '')}"
        f'<td class="number">{item.won}</td><td class="number">{item.tied}</td>'
        f'<td class="number">{item.lost}</td>'
        f'<td class="told">{escape(preference_sentence(item, before, after))}</td></tr>'
        for item in found
    )
    return (
        '<div class="scroll"><table class="plain"><thead><tr><th></th>'
        '<th class="number">share, a tie half</th><th class="number">higher</th>'
        '<th class="number">equal</th><th class="number">lower</th><th></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def time_bars(pipeline: PipelineData) -> str:
    """Return a bar of time per finished stage."""
    spent = {s.name: s.seconds for s in pipeline.stages.values() if s.seconds is not None}
    most, total = max(spent.values(), default=0.0) or 1.0, sum(spent.values()) or 1.0
    rows = "".join(
        f'<tr><th scope="row">{escape(stage_title(pipeline, name))}</th>'
        f'<td class="number">{duration(seconds)}</td>'
        f'<td class="number">{percent(seconds / total)}</td>'
        '<td class="wide"><svg class="time" viewBox="0 0 100 8" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect width="{100 * seconds / most:.1f}" height="8" rx="1"/></svg>'
        "</td></tr>"
        for name, seconds in spent.items()
    )
    return f'<div class="scroll"><table class="plain times"><tbody>{rows}</tbody></table></div>'


def stage_title(pipeline: PipelineData, name: str) -> str:
    """Return a stage's display name, also of an evaluation."""
    stage = pipeline.stages[name]
    if stage.evaluates:
        return f"{pipeline.title(stage.evaluates)}, evaluation"
    return pipeline.title(name)


def training_head(stage: StageData, pipeline: PipelineData) -> str:
    """Return a stage's heading above its curves, with a link to its own report."""
    spent = "" if stage.seconds is None else f", {duration(stage.seconds)}"
    steps = 0 if stage.run is None else stage.run.num_steps
    page = pipeline.folder / stage.name / "run" / "report.html"
    link = ""
    if page.is_file():
        link = f' · <a href="{quote(stage.name)}/run/report.html">its own report</a>'
    return (
        f"<h3>{escape(pipeline.title(stage.name))} "
        f'<span class="note">{escape(stage.label)}, {steps:,} steps{spent}{link}</span></h3>'
    )


def lineage_table(pipeline: PipelineData) -> str:
    """Return every stage with its inputs and its outputs."""
    rows = "".join(
        f"<tr><td>{escape(stage.name)}</td><td>{escape(stage.state)}</td>"
        f"<td><code>{escape(_origins(stage))}</code></td><td>{_given(stage)}</td></tr>"
        for stage in pipeline.stages.values()
    )
    return (
        '<div class="scroll"><table class="pairs"><thead><tr><th>stage</th><th>state</th>'
        f"<th>from</th><th>gives</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _origins(stage: StageData) -> str:
    inputs = [f"{edge.field} = @{edge.stage}/{edge.output}" for edge in stage.inputs]
    return ", ".join([*([f"model = {stage.source}"] if stage.source else []), *inputs])


def _given(stage: StageData) -> str:
    parts = []
    for name, output in stage.outputs.items():
        counts = counts_of(output, limit=8)
        digest = (
            f' <code title="{escape(output.sha256)}">sha256 {escape(output.sha256[:16])}</code>'
        )
        told = f"{escape(name)}{': ' + escape(counts) if counts else ''}"
        parts.append(told + (digest if output.sha256 else ""))
    return "<br>".join(parts)


def overview(pipeline: PipelineData) -> Mapping[str, str]:
    """Return the page's status line."""
    states = [stage.state for stage in pipeline.stages.values()]
    done = states.count("done")
    counted = f"{done} of {len(states)} stages have run"
    if pipeline.done:
        return {"status": f'<span class="chip good">finished</span> {len(states)} stages'}
    stale = states.count("stale")
    also = f", {stale} {'is' if stale == 1 else 'are'} stale" if stale else ""
    return {"status": f'<span class="chip">not finished</span> {counted}{also}'}
