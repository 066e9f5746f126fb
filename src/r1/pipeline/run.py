"""Run any recipe, by its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.recipe import Recipe
from r1.pipeline.run_r1 import run_pipeline
from r1.stages import registry


def run_recipe(
    recipe: Recipe,
    base_folder: Path,
    out: Path,
    progress: Any,
    *,
    first: str | None = None,
    only: str | None = None,
    accept_changes: bool = False,
) -> Path:
    """Run into the folder `out`, or resume there; return it. Raises UserError.

    base_folder: where the recipe's relative paths start. progress: the receiver of events
    that the recipe's kind needs; `r1.progress.TerminalProgress` serves them all. first, only: of a
    pipeline's stages (`run_pipeline`). accept_changes: carry a single run on although files it read
    have changed.
    """
    if isinstance(recipe, R1Recipe):
        if accept_changes:
            raise UserError(
                "--accept-changes is for a single run: a stage of a whole recipe whose files "
                "changed is run again. Leave it out."
            )
        return run_pipeline(recipe, base_folder, out, progress, first=first, only=only)
    if first is not None or only is not None:
        raise UserError(
            f'--from and --only choose stages of a recipe of kind "r1"; this one is of kind '
            f'"{recipe.kind}" and has none.'
        )
    train = registry.get(recipe.kind).train
    assert train is not None, f"a recipe of kind {recipe.kind} is a pipeline of one stage"
    return train(recipe, base_folder, out, progress, accept_changes=accept_changes)
