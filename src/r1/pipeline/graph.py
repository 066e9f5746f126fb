"""The graph of stages: their inputs and outputs, and which are done or stale.

A stage reads artifacts of other stages (checkpoints, data sets, reward models) and gives some of
its own. It is done when its marker, which is written last, names these settings and the hashes of
these inputs and outside files. Hashes are of contents: if a stage is run again and gives the same
bytes, the stages below it stay done.

    marker = {settings, inputs: {name: hash}, external: [files outside], outputs: {name: artifact},
              seconds}

Left out on purpose: running stages side by side. One stage uses the whole machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from r1.errors import UserError
from r1.files.shapes import read_json
from r1.run_dir import atomic, inputs
from r1.run_dir.inputs import Input
from r1.run_dir.lineage import describe_source
from r1.run_dir.opening import BEGUN
from r1.run_dir.recipe_check import differences
from r1.run_dir.shapes import Begun, StageMark
from r1.stages.protocol import Artifact, ArtifactType

MARKER = "STAGE.json"


class InputSource(NamedTuple):
    """The source of an input: an output of another stage."""

    stage: str
    output: str


@dataclass(frozen=True)
class Stage:
    """One node. run fills `folder` from its inputs' paths, and resumes there after a kill.

    settings: JSON-serialisable, everything that the stage's numbers depend on beside its inputs.
    may_change: dotted keys of settings on which they do not depend. as_now: settings stored
    earlier, completed by what is newer than they (`config.as_now`). external: hashes the files
    outside the pipeline that the stage reads, as they are now.
    """

    name: str
    settings: Mapping[str, Any]
    outputs: Mapping[str, ArtifactType]
    run: Callable[[Path, Mapping[str, Path]], Mapping[str, Artifact]]
    inputs: Mapping[str, InputSource] = field(default_factory=dict)
    input_types: Mapping[str, ArtifactType] = field(default_factory=dict)
    may_change: Sequence[str] = ()
    as_now: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    external: Callable[[], Sequence[Input]] = tuple


class StageState(StrEnum):
    """The state of a stage."""

    DONE = "done"
    STALE = "stale"
    TO_DO = "to do"


class Standing(NamedTuple):
    """A stage's state, and why it is not done ("its settings changed")."""

    stage: Stage
    state: StageState
    reason: str


def check(stages: Sequence[Stage]) -> None:
    """Raise UserError if a graph's edges do not fit; stages must follow their inputs.

    Raises UserError for a name given twice, an input of a stage that comes later or is unknown, an
    output that the stage does not give, or one of another type than the reader needs.
    """
    known: dict[str, Stage] = {}
    for stage in stages:
        if stage.name in known:
            raise UserError(f"two stages are called {stage.name!r}; give one another name.")
        for name, (origin, output) in stage.inputs.items():
            where = f"stage {stage.name}: input {name!r}"
            if origin not in known:
                raise UserError(
                    f"{where} comes from {origin!r}, which is no stage before it; stages before "
                    f"it: {', '.join(known) or 'none'}."
                )
            given = known[origin].outputs
            if output not in given:
                raise UserError(
                    f"{where}: stage {origin} gives {', '.join(given)}, but no {output!r}."
                )
            wanted = stage.input_types.get(name, given[output])
            if given[output] is not wanted:
                raise UserError(f"{where} needs a {wanted}, but {origin} gives a {given[output]}.")
        known[stage.name] = stage


def stand(stages: Sequence[Stage], folder: Path) -> list[Standing]:
    """Return the state of every stage in a pipeline's folder; reads markers only."""
    standings: dict[str, Standing] = {}
    for stage in stages:
        standings[stage.name] = stand_below(stage, standings, folder)
    return list(standings.values())


def stand_below(stage: Stage, above: Mapping[str, Standing], folder: Path) -> Standing:
    """Return the state of one stage. above: the states of its inputs."""
    state, reason = _stand(stage, read_marker(folder, stage.name), above, folder)
    return Standing(stage, state, reason)


def _stand(
    stage: Stage, marker: dict[str, Any] | None, above: Mapping[str, Standing], folder: Path
) -> tuple[StageState, str]:
    if marker is None:
        begun = (folder / stage.name).exists()
        return StageState.TO_DO, "begun" if begun else ""
    changed = _changed(stage, stage.as_now(_settings(marker)))
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return StageState.STALE, f"its settings changed: {changed[0]}{more}"
    for name, source in stage.inputs.items():
        if above[source.stage].state is not StageState.DONE:
            return StageState.STALE, f"{source.stage} above it is {above[source.stage].state}"
        if marker["inputs"].get(name) != output_hash(folder, source):
            return StageState.STALE, f"{source.stage} above it gave something else"
    if set(marker["inputs"]) != set(stage.inputs):
        return StageState.STALE, "its inputs changed"
    files = _changed_files(marker, stage.external())
    if files:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        return StageState.STALE, f"a file that it read changed: {files[0]}{more}"
    return StageState.DONE, ""


def run_stage(
    stage: Stage, folder: Path, told: Callable[[str], None] = lambda message: None
) -> dict[str, Any]:
    """Run one stage whose inputs are done, and write its marker; return the marker.

    A folder that belongs to other settings, inputs or files is put aside as `<stage>.old-<n>`,
    never removed, and told says so; a folder of a killed run of the same stage is carried on.
    """
    place = folder / stage.name
    external = stage.external()
    identity = {
        "settings": dict(stage.settings),
        "inputs": {name: output_hash(folder, source) for name, source in stage.inputs.items()},
        "external": [given.as_json() for given in external],
    }
    if place.exists():
        other = _other(read_json(place / BEGUN, shape=Begun), identity, stage, external)
        if other:
            aside = atomic.put_aside(place)
            told(f"Stage {stage.name} begins anew, because {other}. Before: {aside}.")
    atomic.make_folder(place)
    atomic.write_json(place / BEGUN, identity)
    begin = time.perf_counter()
    made = stage.run(place, {name: output_path(folder, s) for name, s in stage.inputs.items()})
    assert set(made) == set(stage.outputs), f"stage {stage.name} gave {sorted(made)}"
    marker = {
        **identity,
        "parents": {name: source._asdict() for name, source in stage.inputs.items()},
        "outputs": {
            name: {
                "path": artifact.path,
                "type": str(artifact.type),
                "counts": dict(artifact.counts),
                "sha256": describe_source(place / artifact.path)["sha256"],
            }
            for name, artifact in made.items()
        },
        "seconds": time.perf_counter() - begin,
    }
    atomic.write_json(place / MARKER, marker)
    return marker


def _other(
    begun: dict[str, Any] | None,
    identity: dict[str, Any],
    stage: Stage,
    external: Sequence[Input],
) -> str:
    """Return why a stage in progress differs from this one; "" if it may be resumed.

    A setting that is newer than it counts as another one here, as it does for the data stages' own
    folders.
    """
    if begun is None:
        return "its folder does not say what it was begun with"
    if begun["inputs"] != identity["inputs"]:
        return "a stage above it gave something else"
    changed = _changed(stage, _settings(begun))
    if changed:
        return f"its settings changed ({changed[0]})"
    files = _changed_files(begun, external)
    return f"a file that it reads changed ({files[0]})" if files else ""


def _changed_files(marker: Mapping[str, Any], external: Sequence[Input]) -> list[str]:
    """Return the outside files that changed; none for a marker that did not record them."""
    return inputs.differences(inputs.from_json(marker.get("external", ())), external)


def _changed(stage: Stage, stored: Mapping[str, Any]) -> list[str]:
    return differences(stored, json.loads(json.dumps(stage.settings)), stage.may_change)


def _settings(marker: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recorded settings; None for a marker with only their hash."""
    return marker["settings"] if isinstance(marker["settings"], Mapping) else {}


def read_marker(folder: Path, stage: str) -> dict[str, Any] | None:
    """Return the marker of a finished stage, or None."""
    return read_json(folder / stage / MARKER, shape=StageMark)


def output_hash(folder: Path, source: InputSource) -> str:
    """Return the hash of the contents of a finished stage's output."""
    return _output(folder, source)["sha256"]


def output_path(folder: Path, source: InputSource) -> Path:
    """Return the path of a finished stage's output."""
    return folder / source.stage / _output(folder, source)["path"]


def _output(folder: Path, source: InputSource) -> dict[str, Any]:
    marker = read_marker(folder, source.stage)
    assert marker is not None, f"stage {source.stage} has not run"
    if source.output not in marker["outputs"]:
        raise UserError(
            f"{folder / source.stage / MARKER} names no output {source.output!r}; remove the file "
            "to run the stage again."
        )
    return marker["outputs"][source.output]
