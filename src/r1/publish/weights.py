"""Find weights by the hash of their contents (torch-free): a path may hold others by now.

A stage that is run again writes to the paths it wrote before, and a pipeline's folder may be moved.
STAGE.json and lineage.json name a model by its contents:

    hash = SHA-256 of {file of the checkpoint: its SHA-256}      (`run_dir.describe_source`)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from r1.errors import UserError
from r1.evaluation.source import find_model, resolve_model
from r1.files.shapes import read_json
from r1.pipeline import graph
from r1.pipeline.graph import InputSource
from r1.pipeline.run_r1 import is_pipeline
from r1.run_dir import atomic, checkpoint_steps, is_run, training_run
from r1.run_dir.checkpoint import MARKER, step_name
from r1.run_dir.shapes import CheckpointMark, PipelineFile, StageEntry, Story

_MODEL = "model"
"""The setting, and the input of a stage, that names the model to begin with."""


class OwnBase(NamedTuple):
    """The model that a run began with. path: a folder or a hub id. stage: the pipeline's stage that
    made it, "" where it is from outside."""

    path: str
    stage: str = ""


def content_hash(checkpoint: Path) -> str | None:
    """Return a checkpoint's hash as STAGE.json records it; None without a marker.

    Taken from the marker: the weights are not read again.
    """
    mark = read_json(checkpoint / MARKER, None, CheckpointMark)
    if mark is None:
        return None
    hashes = {name: file["sha256"] for name, file in mark["files"].items()}
    return atomic.hash_of({**hashes, MARKER: atomic.sha256(checkpoint / MARKER)})


def pipeline_of(run: Path) -> tuple[Path, str] | None:
    """Return the pipeline's folder and the stage's name, where the run is that of a stage."""
    root = run.resolve().parent.parent
    return (root, run.resolve().parent.name) if is_pipeline(root) else None


def stages_of(root: Path) -> list[StageEntry]:
    """Return a pipeline's stages as pipeline.json lists them, in an order in which they can run."""
    entries: list[StageEntry] = read_json(root / "pipeline.json", {"stages": []}, PipelineFile)[
        "stages"
    ]
    return entries


def evaluation_of(root: Path, checkpoint: Path) -> Path | None:
    """Return the evaluation.json of a finished stage that evaluated exactly these weights."""
    wanted = content_hash(checkpoint)
    for entry in stages_of(root):  # never a folder that was put aside
        marker: Any = graph.read_marker(root, entry["name"])
        result = root / entry["name"] / "evaluation.json"
        if marker and wanted and marker["inputs"].get(_MODEL) == wanted and result.is_file():
            return result
    return None


def own_base(run: Path, recipe: Mapping[str, Any]) -> OwnBase:
    """Return the model that a run itself began with, wherever its folder is now.

    Raises UserError where that was a checkpoint which is there no longer.
    """
    parent = read_json(run / "lineage.json", {}, Story).get("parent") or {}
    wanted = parent.get("sha256")
    inside = pipeline_of(run)
    if inside is not None:
        root, name = inside
        source = _stage_before(root, name)
        for path in (*_outputs(root, source, wanted), *_checkpoints(root.glob("*/run"), wanted)):
            return OwnBase(str(path), path.relative_to(root).parts[0])
        if source is not None:
            raise _lost(f"the checkpoint of stage {source.stage}")
    named = str(recipe.get(_MODEL))
    model = find_model(named, Path(str(recipe.get("base_folder", "."))))
    if not Path(model).exists():
        return OwnBase(named)
    before = training_run(Path(model))
    if wanted and is_run(before):  # by its newest checkpoint then; it may have gone on since
        for path in _checkpoints([before], wanted):
            return OwnBase(str(path.resolve()))
        raise _lost(f"the checkpoint of {model}")
    return OwnBase(str(Path(resolve_model(model).path).resolve()))


def _stage_before(root: Path, name: str) -> InputSource | None:
    """Return the output that a stage begins with: by its marker, else by the recipe."""
    marker: Any = graph.read_marker(root, name)
    declared = next(
        (each.get("inputs", {}) for each in stages_of(root) if each["name"] == name), {}
    )
    found = (marker["parents"] if marker else declared).get(_MODEL)
    return InputSource(found["stage"], found["output"]) if found else None


def _outputs(root: Path, source: InputSource | None, wanted: str | None) -> Iterator[Path]:
    """Yield a finished stage's output if it has the hash: also one that is no run's checkpoint."""
    marker: Any = graph.read_marker(root, source.stage) if source else None
    made = marker["outputs"].get(source.output) if marker and source else None
    if (
        made
        and source
        and made["sha256"] == wanted
        and (root / source.stage / made["path"]).exists()
    ):
        yield root / source.stage / made["path"]


def _checkpoints(runs: Any, wanted: str | None) -> Iterator[Path]:
    """Yield the runs' checkpoints of this hash."""
    for run in sorted(runs):
        for step in reversed(checkpoint_steps(run)):
            folder = run / "checkpoints" / step_name(step)
            if wanted and content_hash(folder) == wanted:
                yield folder


def _lost(what: str) -> UserError:
    return UserError(
        f"these adapters belong to {what} as it was when they were trained, and it is there no "
        "longer; leave --adapter out: merged, the model needs no base."
    )
