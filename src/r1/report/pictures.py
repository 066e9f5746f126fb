"""The two main figures as PNG files, for a README or a paper."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from r1.report.figures import Chart, Series, accuracy, length
from r1.report.load import load_run
from r1.run_dir.atomic import make_folder, write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TONES = ("#2b67ad", "#c8692a", "#2f8a62", "#8257a8", "#b8434e", "#8b929c")
INK, SOFT, LINE = "#20242b", "#68707c", "#e3e1da"


def save_run_figures(folder: Path, out: Path) -> list[Path]:
    """Write accuracy.png and length.png into `out` and return their paths.

    A figure without a single point is left out. Raises UserError where `folder` is not a run.
    """
    run = load_run(Path(folder))
    out = Path(out)
    make_folder(out)
    charts = [chart for chart in (accuracy(run), length(run)) if chart.series]
    return [draw_chart(chart, out / f"{chart.id}.png") for chart in charts]


def draw_chart(chart: Chart, path: Path) -> Path:
    """Draw one chart of lines as a PNG and return its path."""
    figure = new_figure(6.4, 3.7)
    draw_axes(figure.subplots(), chart)
    save_figure(figure, path)
    return path


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, whole or not at all. Raises UserError for a full disk."""
    write_file(path, lambda temporary: figure.savefig(temporary, format="png"))


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; sizes in inches."""
    # Imported here: matplotlib takes half a second, and only pictures need it.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=160, layout="constrained", facecolor="white")


def draw_axes(axes: Axes, chart: Chart) -> None:
    """Draw a chart of lines."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for series in chart.series:
        _draw_series(axes, series)
    if chart.unit == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    axes.set_ylim(*(chart.limits or (0.0, None)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.015)
    axes.set_title(chart.title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=22)
    axes.text(
        0.0, 1.03, chart.note, transform=axes.transAxes, fontsize=8.5, color=SOFT, va="bottom"
    )
    axes.set_xlabel(chart.axis, color=SOFT, loc="right")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.tick_params(colors=SOFT, length=0, labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=9, labelcolor=INK, loc="best")


def _draw_series(axes: Axes, series: Series) -> None:
    color = TONES[series.tone % len(TONES)]
    if len(series.low) == 1:  # a lone point has no band
        axes.vlines(series.x, series.low, series.high, color=color, linewidth=1.6)
    elif series.low:
        axes.fill_between(series.x, series.low, series.high, color=color, alpha=0.13, linewidth=0)
    thin = series.style == "thin"
    axes.plot(
        series.x,
        [math.nan if y is None else y for y in series.y],
        color=color,
        label=series.name,
        linewidth=1.0 if thin else 2.0,
        alpha=0.75 if thin else 1.0,
        marker="o" if series.style == "marked" or len(series.x) == 1 else None,
        markersize=5,
        markerfacecolor="white",
        markeredgewidth=1.6,
        solid_capstyle="round",
    )
