"""What a recipe's parts ask of the clusters they will run on (torch-free).

    a recipe that trains     itself, where it has a [cluster]
    a recipe of stages       every stage that trains, on its ranks and replicas; every stage that
                             samples a finished model, on replicas alone

Known before anything is loaded: the model is followed through the references to the one that the
first stage begins with, as no stage changes its shape but distillation, whose own it names.
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
    """What the stages of a pipeline in `names` ask for; whole: the recipe's own [cluster]."""
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
    """The model that the chain of references at a stage's setting begins with."""
    while at in spec.inputs:
        spec, at = specs[spec.inputs[at].stage], "model"
        name = getattr(spec.recipe, "model", "")
    return name


def with_cluster(own: Any, whole: ClusterSettings | None) -> Any:
    """A stage's settings; of one that trains with the whole recipe's [cluster], over which its own
    is laid. It is no part of the settings by which a stage becomes stale."""
    if whole is None or not hasattr(own, "cluster"):
        return own
    cluster = whole if own.cluster is None else own.cluster.laid_over(whole)
    return own.model_copy(update={"cluster": cluster})


def check_clusters(recipe: Any, path: Path, out: Path, only: str | None = None) -> None:
    """Compare a recipe with its clusters, if it has any, before anything heavy is imported.

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
    """check_early, without Ray where nothing asks for a cluster. Raises UserError."""
    if demands:
        from r1.cluster.ray_placement import check_early

        check_early(demands)
