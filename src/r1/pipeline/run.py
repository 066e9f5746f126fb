"""Run any recipe, by its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1.errors import SettingError, UserError
from r1.pipeline.demands import check_clusters
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.recipe import Recipe
from r1.pipeline.run_r1 import is_pipeline, refuse_other_stages, run_pipeline
from r1.plugins import find_beside
from r1.run_dir import is_run, lock
from r1.run_dir.foreign import held_in, refuse_foreign
from r1.stages import registry
from r1.track.trackers import tracked


def refuse_early(recipe: Recipe, origin: Path, out: Path, only: str | None = None) -> None:
    """Raise UserError for a file in the folder's place, a folder in use or of other things, and a
    cluster that cannot hold the recipe.

    origin: the recipe's file. Nothing heavy is imported yet.
    """
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UserError(f"{there} is a file; give a folder for the run.")
    lock.refuse_held(out)
    if not (is_run(out) or is_pipeline(out)):
        refuse_foreign(out, held_in(out, "the run"), "not a run")
    check_clusters(recipe, origin, out, only)


@contextmanager
def naming(origin: str) -> Iterator[None]:
    """Name the recipe, as `config.origin_of` does, in errors about one of its settings."""
    try:
        yield
    except SettingError as error:
        raise UserError(f"{origin}: {error}") from error


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
    find_beside(base_folder)  # plugins that lie there
    with tracked(recipe, out, progress):
        return _run_by_kind(recipe, base_folder, out, progress, first, only, accept_changes)


def _run_by_kind(
    recipe: Recipe,
    base_folder: Path,
    out: Path,
    progress: Any,
    first: str | None,
    only: str | None,
    accept_changes: bool,
) -> Path:
    if isinstance(recipe, R1Recipe):
        if accept_changes:
            raise UserError(
                "--accept-changes is for a single run: a stage of a whole recipe whose files "
                "changed is run again. Leave it out."
            )
        refuse_other_stages(recipe, out)
        return run_pipeline(recipe, base_folder, out, progress, first=first, only=only)
    if first is not None or only is not None:
        raise UserError(
            f'--from and --only choose stages of a recipe of kind "r1"; this one is of kind '
            f'"{recipe.kind}" and has none.'
        )
    train = registry.get(recipe.kind).train
    assert train is not None, f"a recipe of kind {recipe.kind} is a pipeline of one stage"
    return train(recipe, base_folder, out, progress, accept_changes=accept_changes)
