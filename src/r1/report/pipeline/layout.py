"""Lay out a graph of stages: layers by depth, few crossings.

    layer of a node    one below the deepest of its parents; a node without parents stands just
                       above the first that needs it
    a lone node        stands in the last layer
    long edges         pass through a waypoint in every layer between
    order in a layer   by the mean place of the neighbours, down and up in turn (barycentres;
                       Sugiyama, Tagawa and Toda 1981), the best of all passes kept
    place in a layer   near the mean of the neighbours, neighbours in a layer kept apart

Pure: names in, coordinates out; x grows to the right, y downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

NODE_WIDTH, NODE_HEIGHT = 190.0, 62.0
_GAP_X, GAP_Y = 20.0, 50.0
_PASSES = 12


class Route(NamedTuple):
    """An edge's points from the parent's bottom to the child's top."""

    parent: str
    child: str
    points: tuple[tuple[float, float], ...]


class GraphLayout(NamedTuple):
    """Positions. centres: of the nodes' boxes; all within 0..width, 0..height."""

    width: float
    height: float
    centres: Mapping[str, tuple[float, float]]
    routes: tuple[Route, ...]


class _Item(NamedTuple):
    """A node, or a waypoint of an edge in a layer."""

    name: str
    width: float = NODE_WIDTH
    is_node: bool = True


def lay_out(nodes: Sequence[str], edges: Mapping[tuple[str, str], float]) -> GraphLayout:
    """Place nodes. edges: (parent, child) and the width that the edge needs between nodes.

    `nodes` has parents before their children.
    """
    depth = depths(nodes, list(edges))
    layers, chains = _layers(nodes, edges, depth)
    links = [pair for chain in chains.values() for pair in pairwise(chain)]
    layers = _order(layers, links)
    x_of = _places(layers, links)
    left = min((x - item.width / 2 for item, x in x_of.items()), default=0.0)
    right = max((x + item.width / 2 for item, x in x_of.items()), default=0.0)
    rank = {item: index for index, layer in enumerate(layers) for item in layer}

    def centre(item: _Item) -> tuple[float, float]:
        return x_of[item] - left, NODE_HEIGHT / 2 + rank[item] * (NODE_HEIGHT + GAP_Y)

    centres = {item.name: centre(item) for item in rank if item.is_node}
    routes = tuple(Route(*edge, _route(chain, centre)) for edge, chain in chains.items())
    height = max(0.0, len(layers) * (NODE_HEIGHT + GAP_Y) - GAP_Y)
    return GraphLayout(right - left, height, centres, routes)


def depths(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of every node, from 0."""
    parents = {name: [a for a, b in edges if b == name] for name in nodes}
    children = {name: [b for a, b in edges if a == name] for name in nodes}
    depth: dict[str, int] = {}
    for name in nodes:
        depth[name] = 1 + max((depth[parent] for parent in parents[name]), default=-1)
    for name in reversed(nodes):
        if not parents[name] and children[name]:
            depth[name] = min(depth[child] for child in children[name]) - 1
    last = max(depth.values(), default=0)
    alone = {name for name in nodes if not parents[name] and not children[name]}
    return {name: last if name in alone else layer for name, layer in depth.items()}


def _layers(
    nodes: Sequence[str], edges: Mapping[tuple[str, str], float], depth: Mapping[str, int]
) -> tuple[list[list[_Item]], dict[tuple[str, str], list[_Item]]]:
    layers: list[list[_Item]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in nodes:
        layers[depth[name]].append(_Item(name))
    chains = {}
    for (parent, child), width in edges.items():
        between = range(depth[parent] + 1, depth[child])
        points = [_Item(f"{parent}>{child}@{layer}", width, False) for layer in between]
        for layer, point in zip(between, points, strict=True):
            layers[layer].append(point)
        chains[parent, child] = [_Item(parent), *points, _Item(child)]
    return layers, chains


def _order(layers: list[list[_Item]], links: list[tuple[_Item, _Item]]) -> list[list[_Item]]:
    best, fewest = layers, _crossings(layers, links)
    for number in range(_PASSES):
        down = number % 2 == 0
        sweep = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
        layers = [list(layer) for layer in layers]
        for index in sweep:
            beside = layers[index - 1 if down else index + 1]
            place = {item: i for i, item in enumerate(beside)}
            mean = {
                item: _mean([place[n] for n in _beside(item, links, down)], i)
                for i, item in enumerate(layers[index])
            }
            layers[index].sort(key=mean.__getitem__)
        crossings = _crossings(layers, links)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _crossings(layers: list[list[_Item]], links: list[tuple[_Item, _Item]]) -> int:
    place = {item: (index, i) for index, layer in enumerate(layers) for i, item in enumerate(layer)}
    spans = [(place[a][0], place[a][1], place[b][1]) for a, b in links]
    return sum(
        1
        for n, (layer, a, b) in enumerate(spans)
        for other, c, d in spans[:n]
        if layer == other and (a - c) * (b - d) < 0
    )


def _places(layers: list[list[_Item]], links: list[tuple[_Item, _Item]]) -> dict[_Item, float]:
    x_of: dict[_Item, float] = {}
    for layer in layers:
        x_of |= _apart(layer, [0.0] * len(layer))
    for number in range(_PASSES):
        down = number % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for item in layer:
                near = [x_of[n] for n in _beside(item, links, down)]
                wanted.append(_mean(near, x_of[item]))
            x_of |= _apart(layer, wanted)
    return x_of


def _apart(layer: list[_Item], wanted: list[float]) -> dict[_Item, float]:
    """Return centres in order, near their wanted positions, with space between them."""
    placed: list[float] = []
    for item, x in zip(layer, wanted, strict=True):
        least = x
        if placed:
            before = layer[len(placed) - 1]
            least = placed[-1] + (before.width + item.width) / 2 + _GAP_X
        placed.append(max(x, least))
    shift = _mean([w - p for w, p in zip(wanted, placed, strict=True)], 0.0)
    return {item: x + shift for item, x in zip(layer, placed, strict=True)}


def _route(
    chain: list[_Item], centre: Callable[[_Item], tuple[float, float]]
) -> tuple[tuple[float, float], ...]:
    (x, y), (end_x, end_y) = centre(chain[0]), centre(chain[-1])
    points = [(x, y + NODE_HEIGHT / 2)]
    for item in chain[1:-1]:
        way_x, way_y = centre(item)
        points += [(way_x, way_y - NODE_HEIGHT / 2), (way_x, way_y + NODE_HEIGHT / 2)]
    return (*points, (end_x, end_y - NODE_HEIGHT / 2))


def _beside(item: _Item, links: list[tuple[_Item, _Item]], above: bool) -> list[_Item]:
    if above:
        return [a for a, b in links if b == item]
    return [b for a, b in links if a == item]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
