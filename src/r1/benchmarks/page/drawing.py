"""Inline SVG: bars after the paper's figure 1, and accuracy against the token limit.

All text is escaped; no scripts, as in r1.report.pipeline.drawing. Sizes are in the SVG's own units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from r1.benchmarks.page.samples import CapCurve
from r1.intervals import Interval

WIDTH = 1100.0
_BAR, _GAP, _BETWEEN = 25.0, 2.0, 34.0
_HEIGHT, _TOP, _BOTTOM = 190.0, 22.0, 26.0
_TITLE_CHARS = 24


class Bar(NamedTuple):
    """A model's bar. tone: a class of the style sheet; value: None where it was not measured."""

    model: str
    tone: str
    value: float | None
    interval: Interval | None = None


class BarGroup(NamedTuple):
    """The bars of a benchmark, shares in [0, 1]."""

    title: str
    bars: Sequence[Bar]


def bars_svg(groups: Sequence[BarGroup]) -> str:
    """Draw groups of bars, as many in a line as fit."""
    least = max(len(group.bars) for group in groups) * (_BAR + _GAP) + _BETWEEN
    width = max(WIDTH, least)
    num_lines = math.ceil(len(groups) / (width // least))
    in_line = math.ceil(len(groups) / num_lines)
    each = width / in_line
    lines = [groups[start : start + in_line] for start in range(0, len(groups), in_line)]
    height = _HEIGHT + _TOP + _BOTTOM
    drawn = "".join(
        _group(group, (place + 0.5) * each, line * height + _TOP + _HEIGHT)
        for line, part in enumerate(lines)
        for place, group in enumerate(part)
    )
    base = "".join(
        f'<line class="axis" x1="0" x2="{width:.0f}" y1="{y:.0f}" y2="{y:.0f}"/>'
        for y in (line * height + _TOP + _HEIGHT for line in range(len(lines)))
    )
    return (
        f'<svg class="bench-bars" viewBox="0 0 {width:.0f} {len(lines) * height:.0f}" role="img" '
        f'aria-label="Scores of {len(groups)} benchmarks, in per cent">{base}{drawn}</svg>'
    )


def _group(group: BarGroup, middle: float, base: float) -> str:
    there = [bar for bar in group.bars if bar.value is not None]
    left = middle - len(there) * (_BAR + _GAP) / 2
    title = group.title if len(group.title) <= _TITLE_CHARS else group.title[:23] + "…"
    label = (
        f'<text class="title" x="{middle:.1f}" y="{base + 17:.1f}" text-anchor="middle">'
        f"{escape(title)}</text>"
    )
    bars = (_bar(bar, left + n * (_BAR + _GAP), base) for n, bar in enumerate(there))
    return "".join(bars) + label


def _bar(bar: Bar, left: float, base: float) -> str:
    value = bar.value or 0.0
    top, middle = base - _HEIGHT * value, left + _BAR / 2
    whisker, above = "", top
    if bar.interval is not None:
        high, low = (base - _HEIGHT * bound for bound in (bar.interval.high, bar.interval.low))
        whisker = (
            f'<line class="whisker" x1="{middle:.1f}" x2="{middle:.1f}" y1="{high:.1f}" '
            f'y2="{low:.1f}"/>'
        )
        above = min(top, high)
    return (
        f'<g class="{bar.tone}"><title>{escape(bar.model)}: {100 * value:.1f}</title>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{_BAR:.0f}" height="{_HEIGHT * value:.1f}"/>'
        f'{whisker}<text x="{middle:.1f}" y="{above - 4:.1f}" text-anchor="middle">'
        f"{100 * value:.1f}</text></g>"
    )


class CapLine(NamedTuple):
    """A model's curve."""

    model: str
    tone: str
    curve: CapCurve


_CAP_WIDTH, _CAP_HEIGHT = 340.0, 150.0
_TOPS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_LEFT, _RIGHT, _HEAD, _FOOT = 38.0, 10.0, 10.0, 22.0


def caps_svg(lines: Sequence[CapLine]) -> str:
    """Draw accuracy (0 up to the highest) against the token limit, which grows by powers of two."""
    caps = sorted({cap for line in lines for cap in line.curve.caps_C})
    highest = max(value for line in lines for value in line.curve.accuracy_C)
    top = next((mark for mark in _TOPS if mark >= highest), 1.0)
    first, last = math.log2(caps[0]), math.log2(caps[-1])

    def x(cap: float) -> float:
        share = (math.log2(cap) - first) / ((last - first) or 1.0)
        return _LEFT + share * (_CAP_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _CAP_HEIGHT - _FOOT - value / top * (_CAP_HEIGHT - _HEAD - _FOOT)

    drawn = [*_grid(top, y), *_cap_labels(caps, x)]
    for line in lines:
        points = list(zip(map(x, line.curve.caps_C), map(y, line.curve.accuracy_C), strict=True))
        way = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        name = f"<title>{escape(line.model)}</title>"
        drawn.append(f'<g class="{line.tone}">{name}<polyline class="curve" points="{way}"/></g>')
    return (
        f'<svg viewBox="0 0 {_CAP_WIDTH:.0f} {_CAP_HEIGHT:.0f}" role="img" '
        f'aria-label="Accuracy against the token limit">{"".join(drawn)}</svg>'
    )


def _grid(top: float, y: Callable[[float], float]) -> Iterator[str]:
    for value in (0.0, top / 2, top):
        at = y(value)
        kind = "grid" if value else "axis"
        yield (
            f'<line class="{kind}" x1="{_LEFT}" x2="{_CAP_WIDTH - _RIGHT}" y1="{at:.1f}" '
            f'y2="{at:.1f}"/><text x="{_LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">'
            f"{100 * value:.3g}%</text>"
        )


def _cap_labels(caps: Sequence[int], x: Callable[[float], float]) -> Iterator[str]:
    """Label at most six limits, the last among them."""
    step = max(1, math.ceil(len(caps) / 6))
    for cap in caps[::-1][::step]:
        text = f"{cap // 1024}k" if cap >= 1024 and cap % 1024 == 0 else f"{cap:,}"
        yield (
            f'<text x="{x(cap):.1f}" y="{_CAP_HEIGHT - 6:.0f}" text-anchor="middle">{text}</text>'
        )
