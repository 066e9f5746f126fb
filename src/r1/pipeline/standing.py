"""Compare a single run's folder with a recipe: what is done, what remains, what prevents it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from r1.config import as_now, dump
from r1.data.external import inputs_of
from r1.errors import UserError
from r1.run_dir import checkpoint_steps, is_done, is_run
from r1.run_dir.opening import Identity, judge
from r1.run_dir.read import read_metrics
from r1.stages import registry

_DERIVED = ("model_sha256", "tokens_sha256", "data_sha256")


def standing_of(recipe: Any, base_folder: Path, out: Path) -> list[str]:
    """Describe in sentences what `r1 run` would do with the folder; write nothing.

    Files are compared as they are now; what only loading would show (the encoded data) is not.
    """
    if not is_run(out):
        return [f"{out}: nothing is done there yet; the run would begin."]
    settings = dump(recipe)
    kind = registry.get(recipe.kind)
    identity = Identity(
        {**settings, "base_folder": str(base_folder.resolve())},
        kind.name,
        ignore=(*kind.may_change, *_DERIVED),
        grows=kind.may_grow,
        as_now=partial(as_now, schema=type(recipe)),
        inputs=inputs_of(settings, base_folder),
    )
    try:
        verdict = judge(out, identity)
    except UserError as error:
        return [f"r1 run would refuse: {error}"]
    if verdict.begins:
        return [*verdict.notices, f"{out}: no step is taken yet; the run would begin."]
    return [*_done(recipe, out, bool(verdict.longer)), *verdict.notices]


def _done(recipe: Any, out: Path, longer: bool) -> list[str]:
    committed, checkpoints = len(read_metrics(out)), checkpoint_steps(out)
    back = checkpoints[-1] if checkpoints else 0
    num_steps = getattr(recipe, "num_steps", None)
    of = f" of {num_steps}" if num_steps else ""
    if is_done(out) and not longer:
        return [f"{out}: done, {committed}{of} steps. Nothing to do."]
    lines = [f"{out}: {committed}{of} steps are done; the run would carry on at step {back}."]
    if back < committed:
        lines.append(
            f"The newest checkpoint is of step {back}: {committed - back} steps would be done "
            "again, with the same numbers."
        )
    return lines
