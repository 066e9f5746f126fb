"""The pipeline as a graph to draw: its nodes, its edges and their texts.

Evaluations are folded into the checkpoint that they measure: its pass@1 is shown on the node. An
evaluated base is a node too, above the stages that start from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import NamedTuple

from r1.report.pipeline.layout import GraphLayout, lay_out
from r1.report.pipeline.load import BASE, RESULTS, REWARD_MODEL, Output, PipelineData, StageData
from r1.report.pipeline.metrics import show
from r1.report.tables import duration

_TYPES = {
    "checkpoint": "weights",
    "dataset": "data",
    REWARD_MODEL: "reward model",
    RESULTS: "what was found",
}
_MAX_COUNTS = 2
_LABEL_WIDTH, _LINE_WIDTH = 104.0, 4.0


class GraphNode(NamedTuple):
    """A stage to draw: title, two lines below it. tone: the type of its output."""

    name: str
    title: str
    about: str
    score: str
    state: str
    tone: str


class Link(NamedTuple):
    """An edge to draw: the kind of artifact ("data"), its counts ("2,312 rows"). done: the parent
    has made it."""

    parent: str
    child: str
    what: str
    counts: str
    done: bool


class Graph(NamedTuple):
    """Nodes by name, links in order, and the layout."""

    nodes: Mapping[str, GraphNode]
    links: tuple[Link, ...]
    layout: GraphLayout


def make_graph(pipeline: PipelineData) -> Graph:
    """Build the graph of a pipeline's stages."""
    drawn = [stage for stage in pipeline.stages.values() if not stage.measures]
    base = next((s for s in pipeline.stages.values() if s.evaluates == BASE), None)
    common = base.source if base else None
    nodes = {stage.name: _node(pipeline, stage, common) for stage in drawn}
    links = [link for stage in drawn for link in _links(pipeline, stage, nodes)]
    if base is not None:
        about = f"given: {base.source}" if base.source else "given"
        nodes = {
            BASE: GraphNode(
                BASE, pipeline.title(BASE), about, _score(pipeline, BASE), "done", "given"
            ),
            **nodes,
        }
        below = [stage.name for stage in drawn if common and stage.source == common]
        links += [Link(BASE, name, "", "", True) for name in below]
    widths = {(k.parent, k.child): _LABEL_WIDTH if k.what else _LINE_WIDTH for k in links}
    layout = lay_out(list(nodes), widths)
    return Graph(nodes, tuple(links), layout)


def counts_of(output: Output, limit: int = _MAX_COUNTS) -> str:
    """Format counts: "2,312 rows, 1.2M tokens"."""
    shown = list(output.counts.items())[:limit]
    return ", ".join(f"{short_number(value)} {label}" for label, value in shown)


def short_number(value: float) -> str:
    """Format a number: 950, 6,210, 48.1k, 870k, 1.2M, 3.4B."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / (1e3 if letter == "k" else size)
            return f"{scaled:.0f}{letter}" if abs(scaled) >= 100 else f"{scaled:.1f}{letter}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _node(pipeline: PipelineData, stage: StageData, common: str | None) -> GraphNode:
    """Build a node. common: the shared base; a stage with another base names it."""
    if stage.seconds is not None:
        spent = duration(stage.seconds)
    elif stage.state == "begun" and stage.run is not None:
        spent = f"step {stage.run.num_steps}"
    else:
        spent = stage.state
    given = next((output.type for output in stage.outputs.values()), "")
    origin = f"from {PurePath(stage.source).name}" if stage.source not in (None, common) else ""
    about = " · ".join(filter(None, (stage.label, spent, origin)))
    score = _score(pipeline, stage.name) or _accuracy(stage) or _rows(stage)
    return GraphNode(stage.name, pipeline.title(stage.name), about, score, stage.state, given)


def _links(pipeline: PipelineData, stage: StageData, nodes: Mapping[str, GraphNode]) -> list[Link]:
    """Return one link per parent: all that it gives, each output once."""
    found: dict[str, list[Output]] = {}
    for edge in stage.inputs:
        output = pipeline.stages[edge.stage].outputs.get(edge.output)
        if edge.stage in nodes and output is not None:
            given = found.setdefault(edge.stage, [])
            if output not in given:
                given.append(output)
    return [
        Link(
            parent,
            stage.name,
            ", ".join(_TYPES.get(output.type, output.type) for output in outputs),
            ", ".join(filter(None, map(counts_of, outputs))),
            pipeline.stages[parent].state == "done",
        )
        for parent, outputs in found.items()
    ]


def _score(pipeline: PipelineData, name: str) -> str:
    evaluation = pipeline.evaluations.get(name)
    found = evaluation.overall.get("pass_at_1") if evaluation else None
    return f"pass@1 {show(found.value, 'share')}" if found else ""


def _accuracy(stage: StageData) -> str:
    if not stage.makes_reward_model or stage.run is None or not stage.run.evaluations:
        return ""
    found = stage.run.evaluations[-1].get("accuracy") or {}
    value = found.get("value")
    return "" if value is None else f"held-out {show(value, 'share')}"


def _rows(stage: StageData) -> str:
    data = [output for output in stage.outputs.values() if output.type == "dataset"]
    return counts_of(data[0], limit=1) if data else ""
