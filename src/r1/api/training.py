"""`r1.train`: what `r1 run` does, from a script or a notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from r1.api.recipes import Recipe, as_recipe
from r1.api.runs import RunFolder, load_run
from r1.errors import UserError
from r1.pipeline.run import naming, refuse_early, run_recipe
from r1.pipeline.stopped import saved_in
from r1.progress import TerminalProgress
from r1.terminal import progress_console

OnStep = Callable[[str, int, Mapping[str, float]], None]
"""Receives a committed step: the stage ("training" where there is one only), the step, from 0, and
its metrics, those of timings.jsonl too."""


def train(
    recipe: Recipe | str | Path,
    run: str | Path | None = None,
    *,
    first: str | None = None,
    only: str | None = None,
    accept_changes: bool = False,
    show: bool = True,
    on_step: OnStep | None = None,
) -> RunFolder:
    """Train by a recipe into the folder `run`, or carry on there; return the run.

    recipe: from `load_recipe` or `recipe`, or a file's path. run: by default runs/NAME, NAME being
    the recipe's file. first, only: of a recipe of stages, do this one and all below it again, or
    this one alone. accept_changes: carry on although files that the run read have changed. show:
    print a line a step (a bar in a terminal). Raises UserError for what the user can put right,
    before anything is sampled; KeyboardInterrupt (Ctrl-C, a notebook's stop button) leaves a run
    that the same call carries on.
    """
    recipe = as_recipe(recipe)
    out = _folder_of(recipe, run)
    refuse_early(recipe.settings, recipe.file, out, only)
    sinks = [] if on_step is None else [_StepSink(on_step)]
    console = progress_console()
    console.quiet = not show
    try:
        with naming(str(recipe.file)), TerminalProgress(console, sinks) as progress:
            run_recipe(
                recipe.settings,
                recipe.base_folder,
                out,
                progress,
                first=first,
                only=only,
                accept_changes=accept_changes,
            )
    except KeyboardInterrupt:
        console.print(f"Stopped. {saved_in(out)}", soft_wrap=True)
        raise
    return load_run(out)


class _StepSink(NamedTuple):
    """Passes steps on to a function of the user's; see `r1.pipeline.progress.MetricsSink`."""

    on_step: OnStep

    def begin(self, stage: str, first_step: int, num_steps: int) -> None: ...

    def step(self, stage: str, step: int, metrics: Mapping[str, float]) -> None:
        self.on_step(stage, step, metrics)

    def evaluation(self, stage: str, step: int, summary: Mapping[str, Any]) -> None: ...


def _folder_of(recipe: Recipe, run: str | Path | None) -> Path:
    if run is not None:
        return Path(run)
    if recipe.file.suffix != ".toml":
        raise UserError('a recipe without a file has no name: give run="runs/NAME".')
    return Path("runs") / recipe.file.stem
