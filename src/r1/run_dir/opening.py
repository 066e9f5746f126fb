"""Decide whether a folder is resumed under a recipe, refused, or started anew.

nothing there, or no step taken under another recipe   -> begun anew
the same recipe and the same inputs                    -> carried on
a number of steps that has grown                       -> carried on, longer
other inputs, accepted by the user                     -> carried on, recorded in the lineage
anything else                                          -> UserError with what differs
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from r1.files.shapes import read_json
from r1.run_dir import inputs, recipe_check
from r1.run_dir.checkpoint import checkpoint_steps
from r1.run_dir.inputs import Input
from r1.run_dir.read import read_lines
from r1.run_dir.shapes import Begun, Story

BEGUN = "BEGUN.json"
"""Beside the run folder of a pipeline's stage: what the stage was begun with."""


@dataclass(frozen=True)
class Identity:
    """Identity of a run: it is resumed only if this is unchanged.

    recipe: the resolved settings, JSON-serialisable. kind: the stage ("sft", "r1_zero", ...).
    ignore: dotted keys that may differ (a section's name covers what is in it). grows: those whose
    number may be larger. derived: those that follow from the inputs (hashes of encoded data).
    as_now: a recipe stored earlier, completed by what is newer than it (`config.as_now`).
    inputs: what is read from outside the run; None where the caller does not know.
    accept_changes: carry on although inputs changed.
    """

    recipe: Mapping[str, Any]
    kind: str
    ignore: Sequence[str] = ()
    grows: Sequence[str] = ()
    derived: Sequence[str] = ()
    as_now: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    inputs: Sequence[Input] | None = None
    accept_changes: bool = False


class FolderVerdict(NamedTuple):
    """The relation of a folder to an identity.

    begins: the run starts here. changes: what is recorded in the lineage (longer, or accepted).
    longer: of these, what makes the run longer. notices: for the user.
    """

    begins: bool
    changes: list[str]
    longer: list[str]
    notices: list[str]


def judge(folder: Path, identity: Identity) -> FolderVerdict:
    """Compare a folder with a recipe and its inputs; nothing is written.

    Raises UserError for a run of another kind, recipe or inputs that holds a step.
    """
    stored = recipe_check.stored_recipe(folder)
    if stored is None:
        recipe_check.refuse_other_kind(folder, identity.kind)
        return FolderVerdict(True, [], [], [])
    before, now = identity.as_now(stored), json.loads(json.dumps(identity.recipe))
    longer = recipe_check.grown(before, now, identity.grows)
    may_differ = [*identity.ignore, *identity.derived, *stage_inputs(folder)]
    may_differ += [line.partition(":")[0] for line in longer]
    other = recipe_check.differences(before, now, may_differ)
    recorded = recorded_inputs(folder)
    changed = []
    if identity.inputs is not None and recorded is not None:
        changed = inputs.differences(recorded, identity.inputs)
    kind = read_json(folder / "run.json", {}).get("kind")
    if not holds_step(folder) and (other or changed or kind != identity.kind):
        first = [*other, *changed, f"kind: {kind} in the run, {identity.kind} now"][0]
        told = f"{folder} held a run that took no step; this one begins there anew ({first})."
        return FolderVerdict(True, [], [], [told])
    recipe_check.refuse_other_kind(folder, identity.kind)
    recipe_check.refuse_other_recipe(folder, other)
    if not identity.accept_changes:
        inputs.refuse_changed(folder, changed)
        kept = [key for key in may_differ if key not in identity.derived]
        recipe_check.refuse_other_recipe(folder, recipe_check.differences(before, now, kept))
    notices = [f"The run is made longer: {line}." for line in longer]
    notices += [f"Accepted, and recorded in the lineage: {line}." for line in changed]
    if identity.inputs and recorded is None:
        notices.append(
            "This run recorded no hashes of its data and models when it began; whether they "
            "changed cannot be told. They are recorded from now on."
        )
    return FolderVerdict(False, [*longer, *changed], longer, notices)


def stage_inputs(folder: Path) -> list[str]:
    """Return the settings of a stage's run that name outputs of other stages, as dotted keys.

    They hold paths inside the pipeline's folder, which may be moved. What lies there is compared by
    its hash before the stage is carried on (`r1.pipeline.graph`), and with the run's inputs.
    """
    begun = read_json(folder.parent / BEGUN, None, Begun)
    return [] if begun is None else list(begun["inputs"])


def recorded_inputs(folder: Path) -> list[Input] | None:
    """Return the recorded inputs of the run in `folder`; None if it recorded none."""
    records = read_json(folder / "lineage.json", {}, Story).get("inputs")
    return None if records is None else inputs.from_json(records)


def holds_step(folder: Path) -> bool:
    """Whether a step was ever committed in the folder."""
    return bool(checkpoint_steps(folder) or read_lines(folder / "metrics.jsonl"))
