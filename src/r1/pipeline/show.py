"""Show a pipeline in the terminal: the graph with each stage's state; the origin of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from r1.errors import UserError
from r1.files.shapes import read_json
from r1.pipeline import graph
from r1.pipeline.graph import StageState
from r1.pipeline.run_r1 import PIPELINE, Pipeline, is_pipeline, last_seconds, standings
from r1.run_dir import inputs
from r1.run_dir.checkpoint import find_checkpoint
from r1.run_dir.read import is_run
from r1.run_dir.shapes import PipelineFile, Story

COLOURS = {StageState.DONE: "green", StageState.STALE: "yellow", StageState.TO_DO: "cyan"}


def show_plan(pipeline: Pipeline, out: Path, console: Console, seconds: dict[str, float]) -> None:
    """Print the stages with their inputs and states, and the remaining work.

    seconds: an estimate for stages that never ran here; those that did are expected to take as
    long as they did.
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "kind", "reads", "gives", "state", "time"):
        table.add_column(heading, justify="right" if heading == "time" else "left")
    left, to_do, unknown = 0.0, 0, []
    for standing, spec in zip(standings(pipeline, out), pipeline.specs, strict=True):
        stage, state = standing.stage, standing.state
        took = last_seconds(out, stage.name)
        expected = took if took is not None else seconds.get(stage.name)
        if state is not StageState.DONE:
            to_do += 1
            left += expected or 0.0
            unknown += [stage.name] if expected is None else []
        why = f" ({standing.reason})" if standing.reason else ""
        table.add_row(
            stage.name,
            spec.kind,
            ", ".join(dict.fromkeys(source.stage for source in stage.inputs.values())),
            ", ".join(str(given) for given in stage.outputs.values()),
            Text.assemble((str(state), COLOURS[state]), why),
            "" if expected is None else _clock(expected),
        )
    console.print(table)
    if not to_do:
        console.print("Nothing to do.")
        return
    text = f"{to_do} of {len(pipeline.stages)} stages to do"
    if left:
        text += f": about {_clock(left)}"
        text += f", and {len(unknown)} that never ran here" if unknown else ""
    console.print(f"{text}.")


def show_lineage(path: Path, console: Console) -> None:
    """Print the origin of a checkpoint or data set, down to seeds and parents.

    path: a pipeline (all that nothing else reads), one of its stages, something inside a stage, or
    a run folder. Raises UserError for anything else.
    """
    path = path.resolve()
    place = next((p for p in (path, *path.parents) if is_pipeline(p)), None)
    if place is None:
        console.print(_run_tree(path))
        return
    told = read_json(place / PIPELINE, {"stages": []}, PipelineFile)
    names = [stage["name"] for stage in told["stages"]]
    if path != place:
        name = path.relative_to(place).parts[0]
        if name not in names:
            raise UserError(f"{path} belongs to no stage of {place}; stages: {', '.join(names)}.")
        names = [name]
    else:
        read = {
            parent["stage"]
            for name in names
            for parent in (graph.read_marker(place, name) or {"parents": {}})["parents"].values()
        }
        names = [name for name in names if name not in read and graph.read_marker(place, name)]
    if not any(graph.read_marker(place, name) for name in names):
        raise UserError(f"{path}: no stage is done yet, so there is nothing to trace.")
    for name in names:
        console.print(_tree(place, name, set()))


def _tree(place: Path, name: str, seen: set[str]) -> Tree:
    marker = graph.read_marker(place, name)
    if marker is None:
        return Tree(f"{name} (not done)")
    given = [
        f"{artifact['type']} {artifact['sha256'][:12]}"
        + "".join(f", {number:,} {what}" for what, number in artifact["counts"].items())
        for artifact in marker["outputs"].values()
    ]
    tree = Tree(Text.assemble((name, "bold"), f": {'; '.join(given)}"))
    if name in seen:
        tree.add("(as above)")
        return tree
    seen.add(name)
    for text in (*_seeds(place / name / "run"), *_outside(marker.get("external", ()))):
        tree.add(Text(text))
    for parent in dict.fromkeys(parent["stage"] for parent in marker["parents"].values()):
        tree.add(_tree(place, parent, seen))
    return tree


def _seeds(run: Path) -> list[str]:
    recorded: dict[str, int] = read_json(run / "seeds.json", {}, dict[str, int])
    seeds = ", ".join(f"{name} {seed}" for name, seed in recorded.items())
    return [f"seeds: {seeds}"] if seeds else []


def _outside(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line per outside input: its role, its place, its hash."""
    lines = []
    for given in inputs.from_json(records):
        digest = str(given.summary().get("sha256", "no local files"))[:12]
        lines.append(f"{given.role}: {given.source} {digest}")
    return lines


def _story(run: Path) -> list[str]:
    """Return a single run's record: seeds, model, data, plugins, and later changes."""
    story: dict[str, Any] = read_json(run / "lineage.json", {}, Story)
    lines = _seeds(run)
    if "inputs" in story:
        lines += _outside(story["inputs"])
    elif parent := story.get("parent"):
        lines.append(f"model: {parent.get('model')} {str(parent.get('sha256', ''))[:12]}")
    for note in story.get("changes", ()):
        lines += [f"from step {note['step']} on: {change}" for change in note["changes"]]
    return lines


def _run_tree(path: Path) -> Tree:
    """Return the tree of a single run."""
    run = next((p for p in (path, *path.parents) if is_run(p)), None)
    if run is None:
        raise UserError(
            f"{path} is neither a pipeline, nor a run, nor inside one; give a run's folder."
        )
    checkpoint = find_checkpoint(run)
    entries = read_json(run / "lineage.json", {}, Story).get("checkpoints", [])
    own = [e for e in entries if e["folder"].endswith(checkpoint.name)]
    digest = own[0]["sha256"][:12] if own else ""
    tree = Tree(Text.assemble((run.name, "bold"), f": {checkpoint.name} {digest}"))
    for text in _story(run) or ["nothing is recorded"]:
        tree.add(Text(text))
    return tree


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
