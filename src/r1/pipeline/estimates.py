"""Estimates of a recipe or a pipeline's stages, each by its kind (torch-free)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from r1.pipeline.r1 import StageSpec
from r1.plan.estimate import Context, Estimate, Given
from r1.plan.layout import gpus_asked_for
from r1.plan.model import UnknownModelError
from r1.stages import registry


def estimate_recipe(recipe: Any, base_folder: Path, given: Given | None = None) -> Estimate:
    """Return the estimate of one validated recipe of a training kind, under the kind's name.

    base_folder: the recipe's folder, to which its paths are relative. A model whose dimensions are
    not known leaves the estimate empty but for `unknown`. Raises UserError for unknown hardware.
    """
    context = Context(base_folder, given or Given(), asked=gpus_asked_for(recipe))
    return _estimate(recipe.kind, recipe.kind, recipe, context)


def estimate_pipeline(
    stages: Sequence[StageSpec], base_folder: Path, given: Given | None = None, cluster: Any = None
) -> list[Estimate]:
    """Return the estimates of a pipeline's stages, which must be in a possible order of running.

    cluster: the whole recipe's, on whose replicas stages run that only sample; a stage that trains
    has its own.

    "@stage" stands for the model or the data set that the stage is estimated to give. Raises
    UserError as estimate_recipe does.
    """
    done: dict[str, Estimate] = {}
    for stage in stages:
        context = Context(
            base_folder,
            given or Given(),
            {name: e.model for name, e in done.items() if e.model is not None},
            {name: e.makes for name, e in done.items() if e.makes is not None},
            asked_by(stage, cluster),
        )
        done[stage.name] = _estimate(stage.name, stage.kind, stage.recipe, context)
    return list(done.values())


def asked_by(stage: StageSpec, cluster: Any) -> int | None:
    """Return the GPUs that a stage asks for; None if it does not say. cluster: the recipe's."""
    kind = registry.get(stage.kind)
    samplers = [] if kind.learns_from else kind.samplers(stage.recipe)
    return gpus_asked_for(stage.recipe, cluster, samplers[0].engine if samplers else None)


def _estimate(name: str, kind: str, recipe: Any, context: Context) -> Estimate:
    try:
        return registry.get(kind).estimate(name, recipe, context)
    except UnknownModelError as error:
        return Estimate(name, kind, unknown=(str(error),))
