"""Any recipe as a run: its kind decides what is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.evaluate.source import resolve_model
from r1.learner.supervised_run import Place
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.r1_zero import find_model, run_r1_zero
from r1.pipeline.recipe import Recipe
from r1.pipeline.supervised import place
from r1.reward_model import train as reward_model
from r1.sft import train as sft

Runner = Callable[..., Path]


def on_model(train: Callable[..., Path], alone: Place) -> Runner:
    """A trainer that takes a model's folder, as a run: recipe.model may be a run as well, whose
    newest checkpoint is taken. alone: where its learner is without a [cluster]."""

    def run(recipe: Any, base_folder: Path, out: Path, progress: Any, **options: bool) -> Path:
        model = resolve_model(find_model(recipe.model, base_folder)).path
        return train(recipe, model, base_folder, out, progress, partial(place, alone), **options)

    return run


RUNNERS: dict[str, Runner] = {
    "r1_zero": run_r1_zero,
    "sft": on_model(sft.train_sft, sft.ALONE),
    "reward_model": on_model(reward_model.train_reward_model, reward_model.ALONE),
}


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
    """Train into the folder `out`, or carry on there; return it. Raises UserError.

    base_folder: where the recipe's relative paths start. progress: what the recipe's kind asks
    for; `r1.progress.TerminalProgress` serves them all. first, only: of a pipeline's stages
    (`run_pipeline`). accept_changes: carry a single run on although files it read have changed.
    """
    if isinstance(recipe, R1Recipe):
        from r1.pipeline.run_r1 import run_pipeline  # its stages are run by this module

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
    runner = RUNNERS[recipe.kind]
    return runner(recipe, base_folder, out, progress, accept_changes=accept_changes)
