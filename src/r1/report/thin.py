"""The charts of a page: of long runs, as many points as a figure can show.

A line of more than MAX_POINTS points is cut into stretches, and the least and the largest value of
each are kept, so that a spike of one step stays in sight. Layers on top of each other keep the same
evenly spaced steps. The chart's note says what was left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

from r1.report.figures import Chart, Series
from r1.report.load import spread

MAX_POINTS = 2_000


def for_page(chart: Chart) -> dict[str, Any]:
    """Return a chart as the page's script reads it."""
    return asdict(thinned(chart))


def thinned(chart: Chart) -> Chart:
    """Return the chart with at most MAX_POINTS points a series."""
    longest = max((len(series.x) for series in chart.series), default=0)
    if longest <= MAX_POINTS:
        return chart
    if chart.stacked:
        kept = [_at(series, spread(range(len(series.x)), MAX_POINTS)) for series in chart.series]
        told = f"{MAX_POINTS:,} of {longest:,} steps are drawn."
    else:
        kept = [_at(series, _extremes(series)) for series in chart.series]
        told = f"Of {longest:,} steps the least and largest values of each stretch are drawn."
    return replace(chart, series=kept, note=f"{chart.note} {told}".strip())


def _at(series: Series, places: list[int]) -> Series:
    def pick(values: Sequence[Any]) -> list[Any]:
        return [values[place] for place in places] if values else []

    return replace(
        series,
        x=pick(series.x),
        y=pick(series.y),
        low=pick(series.low),
        high=pick(series.high),
    )


def _extremes(series: Series) -> list[int]:
    """Return the places of the least and the largest value of each stretch, and of one that is
    missing."""
    number = len(series.x)
    if number <= MAX_POINTS:
        return list(range(number))
    stretches, y = MAX_POINTS // 2, series.y
    bounds = [number * part // stretches for part in range(stretches + 1)]
    found = {0, number - 1}
    for begin, end in pairwise(bounds):
        known = [(value, place) for place in range(begin, end) if (value := y[place]) is not None]
        if known:
            found |= {min(known)[1], max(known)[1]}
        if len(known) < end - begin:
            found.add(next(place for place in range(begin, end) if y[place] is None))
    return sorted(found)
