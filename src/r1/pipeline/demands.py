"""Collect the needs of a recipe's parts on their clusters (torch-free).

    a recipe that trains     itself, where it has a [cluster]
    a recipe of stages       every stage that trains, on its ranks and replicas; every stage that
                             samples a finished model, on replicas alone

The needs are known before anything is loaded: references lead to the model that the first stage
begins with, since only distillation changes the model's shape, and it names its own model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from r1.cluster.needs import Demand, demand_of, engine_needs
from r1.cluster.settings import ClusterSettings
from r1.errors import UserError
from r1.pipeline.graph import MARKER
from r1.pipeline.r1 import R1Recipe, StageSpec, specs_of
from r1.stages import registry


def stage_demands(
    specs: Sequence[StageSpec],
    names: Collection[str],
    whole: ClusterSettings | None,
    base_folder: Path,
) -> list[Demand]:
    """Return the needs of a pipeline's stages in `names`; whole: the recipe's own [cluster]."""
    by_name = {spec.name: spec for spec in specs}
    demands = []
    for spec in specs:
        if spec.name not in names:
            continue
        part = f"stage {spec.name}: "
        try:
            demands += list(_demands(spec, by_name, whole, base_folder, part))
        except UserError as error:
            raise UserError(f"{part}{error}") from None
    return demands


def _demands(
    spec: StageSpec,
    specs: dict[str, StageSpec],
    whole: ClusterSettings | None,
    base_folder: Path,
    part: str,
) -> Iterator[Demand]:
    recipe, kind = with_cluster(spec.recipe, whole), registry.get(spec.kind)
    if kind.learns_from:
        if recipe.cluster is not None:
            model = first_model(recipe.model, "model", spec, specs)
            yield demand_of(recipe, base_folder, part, model)
        return
    if whole is None:
        return
    for sampler in kind.samplers(recipe):
        model = first_model(sampler.model, sampler.at, spec, specs)
        needs = engine_needs(sampler.engine, model, base_folder)
        yield Demand(part, whole.replicas_alone(), needs)


def first_model(name: str, at: str, spec: StageSpec, specs: dict[str, StageSpec]) -> str:
    """Return the model at the start of the chain of references from a stage's setting."""
    while at in spec.inputs:
        spec, at = specs[spec.inputs[at].stage], "model"
        name = getattr(spec.recipe, "model", "")
    return name


def with_cluster(own: Any, whole: ClusterSettings | None) -> Any:
    """Return a stage's settings; a stage that trains gets the recipe's [cluster] under its own. It
    is not among the settings that make a stage stale."""
    if whole is None or not hasattr(own, "cluster"):
        return own
    cluster = whole if own.cluster is None else own.cluster.laid_over(whole)
    return own.model_copy(update={"cluster": cluster})


def check_clusters(recipe: Any, path: Path, out: Path, only: str | None = None) -> None:
    """Compare a recipe with its clusters, if any, before importing heavy libraries.

    path: the recipe's file. out: its run; of a whole recipe the stages are compared that have
    nothing there (`run_pipeline` compares those that have become stale). Raises UserError.
    """
    if isinstance(recipe, R1Recipe):
        specs = specs_of(recipe, str(path))
        names = {spec.name for spec in specs if not (out / spec.name / MARKER).exists()}
        names &= {only} if only else names
        demands = stage_demands(specs, names, recipe.cluster, path.parent)
    else:
        demands = [demand_of(recipe, path.parent)] if recipe.cluster else []
    compare(demands)


def compare(demands: Sequence[Demand]) -> None:
    """Call check_early, but without Ray if nothing asks for a cluster. Raises UserError."""
    if demands:
        from r1.cluster.ray_placement import check_early

        check_early(demands)
