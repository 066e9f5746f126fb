"""Inline SVG of the graph and of the reliability figure. All text is escaped.

Left out on purpose: scripts. The drawings are there where JavaScript is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from r1.report.pipeline.graph import Graph, GraphNode, Link
from r1.report.pipeline.layout import GAP_Y, NODE_HEIGHT, NODE_WIDTH, Route

_MIN_WIDTH = 720.0
"""Below it a large graph is scrolled, not shrunk until nobody can read it."""

_MARGIN = 8
_TITLE_CHARS, _LINE_CHARS = 20, 31


def graph_svg(graph: Graph) -> str:
    """Draw the pipeline at its natural width, so that text keeps its size."""
    links = {(link.parent, link.child): link for link in graph.links}
    layout = graph.layout
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    drawn = [(links[route.parent, route.child], route) for route in layout.routes]
    edges = "".join(_edge(link, route) for link, route in drawn)
    named = [(link, route) for link, route in drawn if link.what]
    places = label_places([route for _, route in named])
    labels = "".join(_label(link, at) for (link, _), at in zip(named, places, strict=True))
    nodes = "".join(_node(node, *layout.centres[name]) for name, node in graph.nodes.items())
    return (
        f'<svg class="graph" viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" '
        f'style="min-width: {min(width, _MIN_WIDTH):.0f}px" role="img" '
        f'aria-label="{len(graph.nodes)} stages and what travels between them">'
        f"{edges}{nodes}{labels}</svg>"
    )


def _edge(link: Link, route: Route) -> str:
    kind = "given" if not link.what else "done" if link.done else "waiting"
    return f'<path class="edge {kind}" d="{edge_path(route.points)}"/>'


def edge_path(points: Sequence[tuple[float, float]]) -> str:
    """Return a path that curves from row to row and runs straight along a waypoint."""
    x, y = points[0]
    parts = [f"M{x:.1f} {y:.1f}"]
    for x_next, y_next in points[1:]:
        middle = (y + y_next) / 2
        if x_next == x:
            parts.append(f"L{x:.1f} {y_next:.1f}")
        else:
            parts.append(
                f"C{x:.1f} {middle:.1f} {x_next:.1f} {middle:.1f} {x_next:.1f} {y_next:.1f}"
            )
        x, y = x_next, y_next
    return "".join(parts)


def label_places(routes: Sequence[Route]) -> list[tuple[float, float]]:
    """Place labels apart from those of edges that share a node.

    A long edge has a waypoint of its own; where many leave a node, labels stand near the children;
    where many reach one, near the parents; else in the middle.
    """
    places = []
    for route in routes:
        if len(route.points) > 2:
            (x, top), (_, bottom) = route.points[1:3]
            places.append((x, (top + bottom) / 2))
            continue
        (x, y), (end_x, _) = route.points
        leaving = sum(other.parent == route.parent for other in routes) > 1
        reaching = sum(other.child == route.child for other in routes) > 1
        if leaving and not reaching:
            places.append((end_x, y + 0.62 * GAP_Y))
        elif reaching and not leaving:
            places.append((x, y + 0.38 * GAP_Y))
        else:
            places.append(((x + end_x) / 2, y + GAP_Y / 2))
    return places


def _label(link: Link, place: tuple[float, float]) -> str:
    x, y = place
    shown = [link.what, link.counts] if link.counts else [link.what]
    top = y + 3.5 - 6.5 * (len(shown) - 1)
    lines = "".join(
        f'<tspan x="{x:.1f}" y="{top + 13 * i:.1f}">{escape(short(line, _LINE_CHARS))}</tspan>'
        for i, line in enumerate(shown)
    )
    return f'<text class="label{"" if link.done else " waiting"}">{lines}</text>'


def _node(node: GraphNode, x: float, y: float) -> str:
    left, top = x - NODE_WIDTH / 2, y - NODE_HEIGHT / 2
    state = node.state.replace(" ", "-")
    lines = [
        f'<text class="title" x="{left + 14:.1f}" y="{top + 20:.1f}">'
        f"{escape(short(node.title, _TITLE_CHARS))}</text>",
        f'<text x="{left + 14:.1f}" y="{top + 36:.1f}">{escape(short(node.about, _LINE_CHARS))}'
        "</text>",
        f'<text class="score" x="{left + 14:.1f}" y="{top + 52:.1f}">'
        f"{escape(short(node.score, _LINE_CHARS))}</text>",
    ]
    sign = {"done": "✓", "stale": "↻", "begun": "…"}.get(node.state, "")
    return (
        f'<g class="node {escape(node.tone)} {escape(state)}" data-stage="{escape(node.name)}">'
        f"<title>{escape(f'{node.title} ({node.name}): {node.state}')}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{NODE_WIDTH:.0f}" '
        f'height="{NODE_HEIGHT:.0f}" rx="8"/>'
        f'<rect class="tone" x="{left:.1f}" y="{top + 8:.1f}" width="4" '
        f'height="{NODE_HEIGHT - 16:.0f}" rx="2"/>{"".join(lines)}'
        f'<text class="sign" x="{left + NODE_WIDTH - 12:.1f}" y="{top + 52:.1f}">{sign}</text></g>'
    )


def reliability_svg(models: Sequence[tuple[str, int, Mapping[str, Any]]]) -> str:
    """Draw predicted against observed. models: (title, tone, calibration of an evaluation).

    A bin's circle has an area that grows with its examples; the diagonal is perfect calibration.
    """
    size, left, top = 220, 38, 8
    shapes = []
    for mark in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + mark * size, top + (1 - mark) * size
        name = f"{100 * mark:.0f}%"
        shapes.append(f'<line class="grid" x1="{left}" x2="{left + size}" y1="{y}" y2="{y}"/>')
        shapes.append(f'<text x="{left - 6}" y="{y + 3.5}" text-anchor="end">{name}</text>')
        shapes.append(f'<text x="{x}" y="{top + size + 16}" text-anchor="middle">{name}</text>')
    shapes.append(
        f'<line class="cursor" x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}"/>'
    )
    for title, tone, calibration in models:
        shapes.append(_bins(title, tone, calibration.get("bins", []), (left, top, size)))
    return (
        f'<svg viewBox="0 0 {left + size + 16} {top + size + 26}" role="img" '
        f'aria-label="Reliability">{"".join(shapes)}</svg>'
    )


def _bins(
    title: str, tone: int, bins: Sequence[Mapping[str, Any]], box: tuple[int, int, int]
) -> str:
    left, top, size = box
    total = sum(one["num"] for one in bins) or 1
    points = [
        (left + one["predicted"] * size, top + (1 - one["observed"]) * size, one) for one in bins
    ]
    path = "".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y, _) in enumerate(points))
    circles = "".join(
        f'<circle class="point tone-{tone}" cx="{x:.1f}" cy="{y:.1f}" '
        f'r="{2.5 + 7 * (one["num"] / total) ** 0.5:.1f}"><title>{escape(title)}: predicted '
        f"{100 * one['predicted']:.0f}%, observed {100 * one['observed']:.0f}% of "
        f"{one['num']}</title></circle>"
        for x, y, one in points
    )
    return f'<path class="curve thin tone-{tone}" d="{path}"/>{circles}'


def short(text: str, limit: int) -> str:
    """Shorten a text to fit its place."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
