"""The pipeline's main figures as PNG files: the graph, the stages, the ablation, reward models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from r1.report.pictures import INK, LINE, SOFT, TONES, draw_axes, new_figure, save_figure
from r1.report.pipeline.claims import Measured
from r1.report.pipeline.columns import Column, FigureRow, columns, rows
from r1.report.pipeline.contests import ablation
from r1.report.pipeline.curves import ablation_charts, reward_model_chart, reward_models
from r1.report.pipeline.drawing import label_places
from r1.report.pipeline.graph import Graph, make_graph
from r1.report.pipeline.layout import NODE_HEIGHT, NODE_WIDTH
from r1.report.pipeline.load import REWARD_MODEL, PipelineData, load_pipeline
from r1.run_dir.atomic import make_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TYPE_TONES = {"checkpoint": 0, "dataset": 1, REWARD_MODEL: 3}
_SHARES = ("pass@1", "format kept", "in the asked language")
_SCORES = ("helpful, by the reward model", "harmless, by the reward model")


def save_pipeline_figures(folder: Path, out: Path) -> list[Path]:
    """Write graph.png, stages.png, ablation.png and reward-models.png; return their paths.

    A figure without a single number is left out.
    """
    from matplotlib import rc_context

    pipeline = load_pipeline(Path(folder))
    make_folder(out)
    with rc_context({"text.parse_math": False}):  # a name may hold a "$"
        return _draw_all(pipeline, out)


def _draw_all(pipeline: PipelineData, out: Path) -> list[Path]:
    paths = [draw_graph(make_graph(pipeline), out / "graph.png")]
    table = columns(pipeline)
    if pipeline.evaluations:
        paths.append(draw_stages(table, rows(table), out / "stages.png"))
    twin = ablation(pipeline, Measured(pipeline))
    charts = [] if twin is None else ablation_charts(pipeline, twin)
    if charts:
        figure = new_figure(6.4 * len(charts), 3.9)
        all_axes = figure.subplots(1, len(charts), squeeze=False)[0]
        for axes, chart in zip(all_axes, charts, strict=True):
            draw_axes(axes, chart)
        save_figure(figure, out / "ablation.png")
        paths.append(out / "ablation.png")
    if reward_models(pipeline):
        paths.append(draw_reward_models(pipeline, out / "reward-models.png"))
    return paths


def draw_stages(table: Sequence[Column], found: Sequence[FigureRow], path: Path) -> Path:
    """Draw the table of stages, a line each, as two panels: shares, and reward models' scores.

    The first figure of a panel is printed, too.
    """
    wanted = [row for row in found if row.group == "All reasoning" and row.label in _SHARES]
    scores = [row for row in found if row.group == "General prompts" and row.label in _SCORES]
    panels = [(title, rows_) for title, rows_ in (("Reasoning problems", wanted),
              ("General prompts: mean score", scores)) if rows_]  # fmt: skip
    figure = new_figure(2.4 + 3.9 * len(panels), 1.2 + 0.36 * len(table))
    all_axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (title, panel) in zip(all_axes, panels, strict=True):
        for number, row in enumerate(panel):
            _marks(axes, row, number, len(panel))
        share = panel[0].unit == "share"
        form = (
            (lambda value, _: f"{100 * value:.0f}%") if share else (lambda value, _: f"{value:g}")
        )
        axes.xaxis.set_major_formatter(form)
        if share:
            axes.set_xlim(-0.02, 1.02)
        _stage_axis(axes, title, table)
        for place, cell in enumerate(panel[0].cells):
            if cell is not None:
                text = f"{100 * cell.value:.0f}%" if share else f"{cell.value:.2f}"
                axes.text(
                    1.03, place, text, transform=axes.get_yaxis_transform(), va="center",
                    fontsize=10.5, fontweight="bold", color=TONES[0],
                )  # fmt: skip
    save_figure(figure, path)
    return path


def _marks(axes: Axes, row: FigureRow, number: int, total: int) -> None:
    """Draw a point with its interval per checkpoint; figures of one are below each other."""
    points = [(i, cell) for i, cell in enumerate(row.cells) if cell is not None]
    below = (number - (total - 1) / 2) * 0.22
    axes.errorbar(
        [cell.value for _, cell in points],
        [i + below for i, _ in points],
        xerr=[[max(0.0, cell.value - cell.low) for _, cell in points],
              [max(0.0, cell.high - cell.value) for _, cell in points]],
        fmt="o", color=TONES[number], markersize=5, markerfacecolor="white", markeredgewidth=1.7,
        elinewidth=1.7, label=row.label.removesuffix(", by the reward model"),
    )  # fmt: skip


def _stage_axis(axes: Axes, title: str, table: Sequence[Column]) -> None:
    axes.set_yticks(range(len(table)), [column.title for column in table])
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_title(title, loc="left", fontsize=12.5, fontweight="bold", color=INK, pad=26)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    for line in range(1, len(table)):
        own = table[line].student and not table[line - 1].student
        axes.axhline(line - 0.5, color=SOFT if own else LINE, linewidth=0.8, linestyle=":")
    axes.tick_params(axis="y", colors=INK, length=0, labelsize=11)
    axes.tick_params(axis="x", colors=SOFT, length=0, labelsize=9.5)
    axes.spines[:].set_visible(False)
    axes.legend(
        frameon=False, fontsize=10, labelcolor=INK, ncols=3, loc="lower left",
        bbox_to_anchor=(-0.03, 0.985), handletextpad=0.2, columnspacing=1.0, borderaxespad=0.2,
    )  # fmt: skip


def draw_reward_models(pipeline: PipelineData, path: Path) -> Path:
    """Draw held-out accuracy over steps, and the reliability figure."""
    chart = reward_model_chart(pipeline)
    assert chart is not None
    figure = new_figure(10.4, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=[6, 4])
    draw_axes(left, chart)
    right.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=":")
    for tone, model in enumerate(reward_models(pipeline)):
        bins = (model.last.get("calibration") or {}).get("bins", [])
        places = [one["predicted"] for one in bins], [one["observed"] for one in bins]
        right.plot(*places, color=TONES[tone], marker="o", label=pipeline.title(model.stage))
    right.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="held likely", ylabel="was so")
    right.set_title("Reliability", loc="left", fontsize=12, fontweight="bold", color=INK)
    right.grid(color=LINE, linewidth=0.8)
    right.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False, fontsize=9, labelcolor=INK)
    save_figure(figure, path)
    return path


def draw_graph(graph: Graph, path: Path) -> Path:
    """Draw the graph as on the page."""
    layout = graph.layout
    figure = new_figure(max(3.0, layout.width / 100 + 0.3), max(2.0, layout.height / 100 + 0.3))
    axes = figure.subplots()
    links = {(link.parent, link.child): link for link in graph.links}
    for route in layout.routes:
        _draw_edge(axes, route.points, not links[route.parent, route.child].what)
    for name, (x, y) in layout.centres.items():
        _draw_node(axes, graph, name, x, y)
    named = [route for route in layout.routes if links[route.parent, route.child].what]
    for route, (x, y) in zip(named, label_places(named), strict=True):
        link = links[route.parent, route.child]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        text = f"{link.what}\n{link.counts}".strip()
        axes.text(x, y, text, ha="center", va="center", fontsize=6.4, color=INK, bbox=box)
    axes.set_xlim(-6, layout.width + 6)
    axes.set_ylim(layout.height + 6, -6)
    axes.set_aspect("equal")
    axes.axis("off")
    save_figure(figure, path)
    return path


def _draw_edge(axes: Axes, points: Sequence[tuple[float, float]], given: bool) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    corners, codes = [points[0]], [Curve.MOVETO]
    for (x, y), (x_next, y_next) in pairwise(points):
        middle = (y + y_next) / 2
        corners += [(x, middle), (x_next, middle), (x_next, y_next)]
        codes += [Curve.CURVE4] * 3
    style = ":" if given else "-"
    curve = Curve(corners, codes)
    axes.add_patch(PathPatch(curve, fill=False, edgecolor=SOFT, linewidth=0.8, linestyle=style))


def _draw_node(axes: Axes, graph: Graph, name: str, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    node = graph.nodes[name]
    left, top = x - NODE_WIDTH / 2, y - NODE_HEIGHT / 2
    done = node.state == "done"
    axes.add_patch(
        FancyBboxPatch(
            (left, top), NODE_WIDTH, NODE_HEIGHT, boxstyle="round,pad=0,rounding_size=8",
            facecolor="white", linewidth=1.0, linestyle="-" if done else "--",
            edgecolor=TONES[_TYPE_TONES.get(node.tone, 5)],
        )
    )  # fmt: skip
    lines = ((node.title, 20, 8.5, INK), (node.about, 36, 7, SOFT), (node.score, 52, 7, INK))
    for text, below, size, color in lines:
        axes.text(left + 12, top + below, text, fontsize=size, color=color)
