"""The claims as one self-contained page (the frame and charts of r1.report; torch-free)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from r1.claims.difference import ClaimVerdict, SeedsDifference
from r1.claims.results import ArmResult, ClaimResult, ComparisonResult
from r1.claims.settings import COSTS, GENERATED
from r1.claims.show import figure
from r1.intervals import Interval, share_interval
from r1.report.assets import fill_page
from r1.report.figures import Chart, Series
from r1.report.tables import duration
from r1.report.thin import for_page
from r1.run_dir.atomic import write_text

PAGE = "claims.html"
RULES_SHOWN = ("any", "majority", "weighted")
"""A search's rules of choice that have a column of their own (r1.search.choose)."""
CHIPS = {
    ClaimVerdict.SHOWN: "good",
    ClaimVerdict.OTHER_WAY: "bad",
    ClaimVerdict.NOT_TOLD_APART: "unsure",
    ClaimVerdict.TO_COME: "none",
}
NUM_TONES = 6


def write_claims_page(
    results: Sequence[ClaimResult],
    out: Path,
    commands: Mapping[str, str],
    title: str = "Claims of the paper",
) -> Path:
    """Write OUT/claims.html; return its path. commands: by claim, what runs it."""
    counts = {verdict: sum(r.verdict is verdict for r in results) for verdict in ClaimVerdict}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    page = fill_page(
        "claims.html",
        ("charts.js", "claims.js"),
        ("report.css", "pipeline.css", "claims.css"),
        {"figures": {r.claim.name: [for_page(chart) for chart in _charts(r)] for r in results}},
        "",
        name=title,
        status=escape(f"{_count(len(results), 'claim')}, {_seeds(results)} an arm: {told}"),
        overview=_overview(results),
        claims="\n".join(_section(result, commands[result.claim.name]) for result in results),
    )
    write_text(out / PAGE, page)
    return out / PAGE


def _seeds(results: Sequence[ClaimResult]) -> str:
    """Return how many seeds the arms were run with: "3 seeds", "1 to 3 seeds"."""
    numbers = [len(arm.stages) for result in results for arm in result.arms.values()]
    least, most = min(numbers, default=1), max(numbers, default=1)
    return _count(most, "seed") if least == most else f"{least} to {_count(most, 'seed')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _overview(results: Sequence[ClaimResult]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{escape(r.claim.name)}">{escape(r.claim.settings.title)}</a></td>'
        f"<td>{_chip(r.verdict)}</td><td>{escape(r.claim.settings.source)}</td></tr>"
        for r in results
    )
    head = "<tr><th>claim</th><th>verdict</th><th>where</th></tr>"
    return f"<thead>{head}</thead><tbody>{rows}</tbody>"


def _section(result: ClaimResult, command: str) -> str:
    settings, name = result.claim.settings, escape(result.claim.name)
    numbers = f"<p>{escape(settings.numbers)}</p>" if settings.numbers else ""
    to_do = f" {result.to_do} stages have not run yet." if result.to_do else ""
    differs = f"<p>{escape(settings.differs)}</p>" if settings.differs else ""
    size = f"<p class='note'>At size:</p><pre>{escape(settings.at_size)}</pre>"
    return (
        f'<section class="claim" id="{name}"><h2>{escape(settings.title)}</h2>'
        f'<p class="note">{_chip(result.verdict)} {escape(settings.source)}.{to_do}</p>'
        f'<div class="paper"><p>{escape(settings.says)}</p>{numbers}</div>'
        f'<div class="scroll"><table class="plain">{_comparisons(result)}</table></div>'
        f'<div class="charts" id="charts-{name}"></div>'
        f'<div class="scroll"><table class="plain">{_arms(result)}</table></div>{differs}'
        f"<pre>{escape(command)}</pre>{size if settings.at_size else ''}</section>"
    )


def _chip(verdict: ClaimVerdict) -> str:
    return f'<span class="chip {CHIPS[verdict]}">{escape(str(verdict))}</span>'


def _comparisons(result: ClaimResult) -> str:
    head = (
        "<tr><th>expected</th><th>verdict</th><th>measure</th><th class='number'>values</th>"
        "<th class='number'>difference</th><th></th></tr>"
    )
    rows = "".join(_comparison(result, each) for each in result.comparisons)
    return f"<thead>{head}</thead><tbody>{rows}</tbody>"


def _comparison(result: ClaimResult, each: ComparisonResult) -> str:
    beside = "" if each.settings.decides else ' <span class="note">beside the claim</span>'
    said = f"<td>{escape(each.settings.says)}{beside}</td><td>{_chip(each.verdict)}</td>"
    measure, other = each.settings.measure, each.settings.than_measure
    named = f"{measure}<br>{other}" if other else measure
    reason = escape(each.reason)
    if each.found is None or each.arm is None or each.than is None:
        return f"<tr>{said}<td>{named}</td><td colspan='3'>{reason}</td></tr>"
    titles = [escape(result.arms[a].title) for a in (each.settings.arm, each.settings.than)]
    values = [figure(value, measure) for value in (each.arm, each.than)]
    sides = "<br>".join(f"{t} {v}" for t, v in zip(titles, values, strict=True))
    value, low, high = (figure(number, measure, "+") for number in each.found.interval)
    seeds = [figure(mean, measure, "+") for mean in each.found.of_seeds]
    ranged = "least to largest" if measure in COSTS else "95%"
    more = f"<span class='range'>seeds {', '.join(seeds)}</span>" if len(seeds) > 1 else ""
    more += f"<span class='range'>{reason}</span>" if reason else ""
    if each.found.num_problems:
        more += f"<span class='range'>{each.found.num_problems} problems</span>"
    return (
        f"<tr>{said}<td>{named}</td><td class='number'>{sides}</td><td class='number'>"
        f"<span class='value'>{value}</span><span class='range'>{ranged} {low} to {high}</span>"
        f"{more}</td><td>{_drawn(each.found)}</td></tr>"
    )


def _drawn(found: SeedsDifference) -> str:
    """Draw the interval about zero, with a dot for every seed."""
    widest = max(abs(v) for v in (*found.interval, *found.of_seeds)) or 1.0

    def x(value: float) -> float:
        return 90 + 84 * value / widest

    seeds = "".join(f'<circle class="seed" cx="{x(v):.1f}" cy="17" r="2"/>' for v in found.of_seeds)
    value, low, high = found.interval
    return (
        '<svg class="interval" viewBox="0 0 180 22" role="img" aria-label="interval">'
        '<line class="zero" x1="90" x2="90" y1="0" y2="22"/>'
        f'<line class="range" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="9" y2="9"/>'
        f'<circle class="middle" cx="{x(value):.1f}" cy="9" r="4"/>{seeds}</svg>'
    )


def _arms(result: ClaimResult) -> str:
    rules = [rule for rule in RULES_SHOWN if any(_has(arm, rule) for arm in result.arms.values())]
    chosen = "".join(f"<th class='number'>{rule}</th>" for rule in rules)
    searched = "<th class='number'>tokens a problem</th>" if rules else ""
    head = (
        "<tr><th>arm</th><th class='number'>seeds</th><th class='number'>pass@1</th>"
        f"{chosen}{searched}<th class='number'>length</th><th class='number'>tokens sampled</th>"
        "<th class='number'>trained</th><th class='number'>time</th>"
        "<th class='number'>learner's state</th></tr>"
    )
    rows = "".join(_arm(arm, rules) for arm in result.arms.values())
    return f"<thead>{head}</thead><tbody>{rows}</tbody>"


def _has(arm: ArmResult, measure: str) -> bool:
    return bool(arm.measured) and measure in arm.measured[0].values


def _arm(arm: ArmResult, rules: Sequence[str]) -> str:
    def cells(*texts: str) -> str:
        return "".join(f"<td class='number'>{text}</td>" for text in texts)

    first = f"<tr><td>{escape(arm.title)}</td>"
    if not arm.measured:
        return f"{first}{cells('–', *[''] * (6 + len(rules) + bool(rules)))}</tr>"
    measure = next((m for m in ("pass_at_1", "mean") if m in arm.measured[0].values), "")
    passed = _ranged(_problem_means(arm, measure))
    chosen = [_ranged(_problem_means(arm, rule)) if _has(arm, rule) else "–" for rule in rules]
    spent = [m.of_run[GENERATED] for m in arm.measured if "any" in m.values]
    if rules:
        chosen.append(f"{np.mean(spent):,.0f}" if spent else "–")
    lengths = [float(np.mean(list(m.values["mean_length"].values()))) for m in arm.measured
               if "mean_length" in m.values]  # fmt: skip
    length = f"{np.mean(lengths):.0f}" if lengths else "–"
    generated, trained, seconds = (
        float(np.mean([cost[i] for cost in arm.costs.values()])) for i in range(3)
    )
    state = max(cost.state_bytes for cost in arm.costs.values())
    return first + cells(
        str(len(arm.measured)), passed, *chosen, length, f"{generated:,.0f}", f"{trained:,.0f}",
        duration(seconds) if seconds else "–", f"{state / 1e6:.1f} MB" if state else "–",
    ) + "</tr>"  # fmt: skip


def _problem_means(arm: ArmResult, measure: str) -> list[float]:
    """Return each problem's mean over seeds."""
    sides = [stage.values.get(measure, {}) for stage in arm.measured]
    shared = sorted(set.intersection(*(set(side) for side in sides)))
    return [float(np.mean([side[p] for side in sides])) for p in shared]


def _ranged(value_P: Sequence[float]) -> str:
    interval = share_interval(value_P)
    if interval is None:
        return "–"
    low, high = 100 * interval.low, 100 * interval.high
    return (
        f"<span class='value'>{100 * interval.value:.1f} %</span>"
        f"<span class='range'>{low:.1f} to {high:.1f}</span>"
    )


def _charts(result: ClaimResult) -> list[Chart]:
    """Return pass@1 and length over the steps, a line an arm: means over seeds."""
    moving = [arm for arm in result.arms.values() if any(m.curve for m in arm.measured)]
    accuracy = [_accuracy(arm, tone % NUM_TONES) for tone, arm in enumerate(moving)]
    lengths = [
        _line(arm, tone % NUM_TONES, [m.lengths for m in arm.measured])
        for tone, arm in enumerate(moving)
    ]
    note = "Held-out problems, mean over seeds; bands: 95% over problems."
    charts = [
        Chart("accuracy", "pass@1", note, "share", accuracy, (0.0, 1.0)),
        Chart("length", "Response length", "Held-out, mean over seeds.", "tokens", lengths),
    ]
    return [chart for chart in (*charts, *_own_charts(result)) if chart.series]


def _own_charts(result: ClaimResult) -> list[Chart]:
    """Return the charts that stages draw themselves, the lines of all arms in one, of seed 0.

    A title such as "error by position" names the axis.
    """
    charts: dict[str, Chart] = {}
    for arm in result.arms.values():
        for title, lines in arm.measured[0].lines.items() if arm.measured else ():
            axis = title.partition(" by ")[2] or "step"
            empty = Chart(title, title.capitalize(), "", "number", [], axis=axis)
            chart = charts.setdefault(title, empty)
            for name, points in lines.items():
                label, tone = f"{arm.title}: {name.replace('_', ' ')}", len(chart.series)
                x, y = [int(p[0]) for p in points], [float(p[1]) for p in points]
                chart.series.append(Series(label, tone % NUM_TONES, "marked", x, y))
    return list(charts.values())


def _accuracy(arm: ArmResult, tone: int) -> Series:
    curves = [m.curve for m in arm.measured]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    x: list[int] = []
    points: list[Interval] = []
    for step in steps:
        shared = sorted(set.intersection(*(set(curve[step]) for curve in curves)))
        found = share_interval([float(np.mean([c[step][p] for c in curves])) for p in shared])
        if found is not None:  # None where verifiers failed on all
            x.append(step)
            points.append(found)
    series = Series(arm.title, tone, "marked", x, [p.value for p in points])
    series.low, series.high = [p.low for p in points], [p.high for p in points]
    return series


def _line(arm: ArmResult, tone: int, found: Sequence[Mapping[int, float]]) -> Series:
    steps = sorted(set.intersection(*(set(each) for each in found)))
    means = [float(np.mean([each[step] for each in found])) for step in steps]
    return Series(arm.title, tone, "marked", steps, means)
