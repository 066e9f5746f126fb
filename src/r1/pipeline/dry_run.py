"""`r1 run RECIPE --dry-run`: what would run, its estimate, and what is done already."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from r1.pipeline.estimates import estimate_pipeline, estimate_recipe
from r1.pipeline.plan import clustered, given_here
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.recipe import Recipe
from r1.pipeline.run_r1 import build
from r1.pipeline.show import show_plan
from r1.pipeline.standing import standing_of
from r1.plan.estimate import Given, seconds_of
from r1.plan.show import show, show_pipeline


def dry_run(recipe: Recipe, path: Path, out: Path, console: Console) -> None:
    """Check a recipe and print its plan; write nothing. Raises UserError.

    path: the recipe's file. out: the folder whose finished stages count.
    """
    given = given_here(recipe, path, Given())
    if not isinstance(recipe, R1Recipe):
        console.print(show(estimate_recipe(recipe, path.parent, given)))
        for line in standing_of(recipe, path.parent, out):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        return
    pipeline = build(recipe, path.parent, str(path))
    for notice in pipeline.notices:
        console.print(notice)
    specs = clustered(pipeline.specs, recipe.cluster)
    estimates = estimate_pipeline(specs, path.parent, given, cluster=recipe.cluster)
    console.print(show_pipeline(estimates))
    show_plan(pipeline, out, console, seconds_of(estimates))
