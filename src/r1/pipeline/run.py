"""Any recipe as a run: its kind decides what is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from r1.evaluate.source import resolve_model
from r1.pipeline.r1_zero import find_model, run_r1_zero
from r1.pipeline.recipe import Recipe
from r1.reward_model.train import train_reward_model
from r1.sft.train import train_sft

Runner = Callable[[Any, Path, Path, Any], Path]


def on_model(train: Callable[[Any, str, Path, Path, Any], Path]) -> Runner:
    """A trainer that takes a model's folder, as a run: recipe.model may be a run as well, whose
    newest checkpoint is taken."""

    def run(recipe: Any, base_folder: Path, out: Path, progress: Any) -> Path:
        model = resolve_model(find_model(recipe.model, base_folder)).path
        return train(recipe, model, base_folder, out, progress)

    return run


RUNNERS: dict[str, Runner] = {
    "r1_zero": run_r1_zero,
    "sft": on_model(train_sft),
    "reward_model": on_model(train_reward_model),
}


def run_recipe(recipe: Recipe, base_folder: Path, out: Path, progress: Any) -> Path:
    """Train into the folder `out`, or carry on there; return it. Raises UserError.

    base_folder: where the recipe's relative paths start. progress: what the recipe's kind asks
    for; `r1.progress.TerminalProgress` serves them all.
    """
    return RUNNERS[recipe.kind](recipe, base_folder, out, progress)
