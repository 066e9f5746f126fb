"""From claims and seeds to one graph of stages (torch-free).

    claim x seed -> stages (r1.pipeline.r1) -> those that its arms need -> named by their content

A stage's name is the hash of its settings, with those of the stages that it reads inside, and where
the files lie that it names by relative paths. Arms of different claims that are the same experiment
are therefore one stage, and run once; a changed setting makes another stage, beside the old one.
Settings at their default are left out of the hash: a setting that is added to r1 later does not
make old results anonymous.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1.claims.settings import GENERATED, OF_RUNS, OF_SEARCHES, TINY, LoadedClaim
from r1.config import merged, read_toml, validate
from r1.errors import UserError
from r1.evaluation.battery_settings import EvaluationStageSettings
from r1.pipeline import references
from r1.pipeline.r1 import LIKE, R1Recipe, StageSpec, specs_of
from r1.pipeline.recipe import PIPELINE_KIND
from r1.r1_zero.settings import R1ZeroRecipe
from r1.search.choose import rules_of
from r1.stages import registry
from r1.stages.protocol import MARK, ArtifactType
from r1.stages.search import SearchStage

TITLE = "title"
STAGE_NAME = re.compile(r".+-[0-9a-f]{10}")
"""What `_named` calls a stage."""
_PATH = re.compile(r"(?!/)[^\n\0]*[/.][^\n\0]*")
"""A text that may be a relative path, and is no name such as "tiny"."""
_OF_KINDS = {
    **dict.fromkeys(OF_SEARCHES, "search"),
    **dict.fromkeys(("value_error", "constant_error"), "critic_truth"),
}
"""Measures that only a stage of this kind has."""
_OF_GENERAL = ("helpful", "harmless", "rule_helpful", "rule_harmless")
"""Measures of general requests."""


@dataclass(frozen=True)
class ArmStage:
    """A stage of the whole graph. label: for people, by the first claim that asked for it."""

    name: str
    label: str
    spec: StageSpec
    table: dict[str, Any]
    base_folder: Path

    @property
    def reads(self) -> list[str]:
        """Return the names of the stages that it reads."""
        return [reference.stage for reference in references.find(self.table)]


@dataclass
class ClaimPlan:
    """The stages of all claims, and which stage is an arm of a claim under a seed.

    stages: by name, in a possible order. arms: claim -> arm -> the stages of its seeds, in order.
    needs: claim -> the names of all stages that it needs. titles: claim -> arm -> its name for
    people. plugins: of the recipes, which register stage kinds.
    """

    stages: dict[str, ArmStage] = field(default_factory=dict)
    arms: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    needs: dict[str, list[str]] = field(default_factory=dict)
    titles: dict[str, dict[str, str]] = field(default_factory=dict)
    plugins: list[str] = field(default_factory=list)


def plan_claims(
    claims: Sequence[LoadedClaim], seeds: int, scale: str, more: Mapping[str, int] | None = None
) -> ClaimPlan:
    """Return the graph of the claims. Raises UserError, naming the claim's file, for a fault.

    more: claims that have so many seeds, where that is more than `seeds`.
    """
    plan = ClaimPlan()
    for claim in claims:
        tables, plugins = _tables(claim, scale)
        plan.plugins += [module for module in plugins if module not in plan.plugins]
        titles = {name: str(table.get(TITLE, name)) for name, table in tables.items()}
        tables = {name: _untitled(table) for name, table in tables.items()}
        arms: dict[str, list[str]] = {}
        needs: dict[str, None] = {}
        for seed in range(max(seeds, (more or {}).get(claim.name, 1))):
            values = {"seed": seed, "plugins": plugins, "stages": tables}
            recipe = validate(values, R1Recipe, str(claim.path))
            specs = _specs(recipe, claim)
            asked = _asked(claim, specs)
            names: dict[str, str] = {}
            for spec in _needed(asked, specs):
                label = f"{claim.name}: {titles[spec.name]}, seed {seed}"
                stage = _named(spec, names, label, claim.path.parent.resolve())
                names[spec.name] = stage.name
                plan.stages.setdefault(stage.name, stage)
                needs[stage.name] = None
            for arm in asked:
                arms.setdefault(arm, []).append(names[arm])
            _refuse_equal_sides(claim, names)
        plan.arms[claim.name], plan.needs[claim.name] = arms, list(needs)
        plan.titles[claim.name] = titles
    return plan


def _tables(claim: LoadedClaim, scale: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the tables of all stages that a claim may use, and the plugins of its recipes."""
    settings = claim.settings
    if not settings.arms and not settings.recipes:
        raise UserError(
            f"{claim.path}: there is nothing to compare; add an [arms.NAME], or a recipe of stages."
        )
    if scale != TINY and scale not in settings.scales:
        known = ", ".join([TINY, *settings.scales])
        raise UserError(f"{claim.path}: there is no scale {scale!r}; scales: {known}.")
    tables: dict[str, dict[str, Any]] = {}
    plugins: list[str] = []
    for name, file in merged(settings.recipes, settings.scales.get(scale, {})).items():
        values = _read_recipe(claim, name, file)
        stages = {name: values}
        if values.get("kind") == PIPELINE_KIND:
            recipe = validate(values, R1Recipe, str(claim.path.parent / file))
            stages, plugins = recipe.stages, [*plugins, *recipe.plugins]
        if clash := sorted(stages.keys() & (tables.keys() | settings.arms.keys())):
            raise UserError(f"{claim.path}: recipes.{name}: {clash[0]!r} is there already.")
        tables |= stages
    for name, arm in settings.arms.items():
        if LIKE not in arm and "kind" not in arm:
            raise UserError(
                f"{claim.path}: arms.{name} names neither `like` nor `kind`; add like = "
                f'"{next(iter(tables), "ARM")}", say.'
            )
    tables |= settings.arms
    kind = registry.assumed().name
    whole = {n: t if LIKE in t or "kind" in t else {"kind": kind, **t} for n, t in tables.items()}
    return whole, plugins


def _read_recipe(claim: LoadedClaim, name: str, file: str) -> dict[str, Any]:
    try:
        return read_toml(claim.path.parent / file)
    except UserError as error:
        raise UserError(f"{claim.path}: recipes.{name}: {error}") from None


def _specs(recipe: R1Recipe, claim: LoadedClaim) -> dict[str, StageSpec]:
    """Return the stages by name; faults of arms are named as they stand in the claim's file."""
    try:
        return {spec.name: spec for spec in specs_of(recipe, str(claim.path))}
    except UserError as error:
        text = str(error)
        for arm in claim.settings.arms:
            text = text.replace(f"stages.{arm}", f"arms.{arm}")
        raise UserError(text) from None


def _untitled(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without its title, on which no number depends."""
    return {key: value for key, value in table.items() if key != TITLE}


def _asked(claim: LoadedClaim, specs: Mapping[str, StageSpec]) -> list[str]:
    """Return the stages that are looked at: the arms that can be measured, and all compared."""
    asked = {arm: None for arm in claim.settings.arms if _measures(specs[arm])}
    for number, comparison in enumerate(claim.settings.compare):
        measures = (comparison.measure, comparison.than_measure or comparison.measure)
        searches = []
        sides = (comparison.arm, comparison.than)
        for name, side, measure in zip(("arm", "than"), sides, measures, strict=True):
            where = f"{claim.path}: compare.{number}: "
            if side not in specs:
                near = difflib.get_close_matches(side, list(specs), n=1)
                known = ", ".join(claim.settings.arms)
                meant = f"did you mean {near[0]!r}?" if near else f"arms: {known}."
                raise UserError(f"{where}{name}: no arm {side!r}; {meant}")
            if not _measures(specs[side]):
                raise UserError(
                    f"{where}{side} is of kind {specs[side].kind!r}, which measures no problems; "
                    f'compare an arm of kind = "evaluation" with model = "@{side}".'
                )
            kind = registry.get(specs[side].kind)
            counts = kind.name == "search" and measure == GENERATED
            if measure in OF_RUNS and not (kind.learns_from or counts):
                raise UserError(f"{where}{measure} is of runs that train; {side} is not.")
            if kind.name == "search":
                searches.append(side)
            if (lack := _lacks(specs[side], measure)) is not None:
                raise UserError(f"{where}{side} has no {measure}: {lack}")
            asked[side] = None
        if len(searches) == 1 and comparison.measure == GENERATED:
            raise UserError(
                f"{claim.path}: compare.{number}: {GENERATED} of a search are those of a problem, "
                f"of a run that trains all of its tokens; compare {searches[0]} with a search."
            )
    return list(asked)


def _lacks(spec: StageSpec, measure: str) -> str | None:
    """Why a stage will not have a measure, and what to do; None where it may have it."""
    trains = isinstance(spec.recipe, R1ZeroRecipe)
    if isinstance(spec.recipe, SearchStage):
        known = (*rules_of(spec.recipe.search), GENERATED)
        return None if measure in known else f"a search like this one has {', '.join(known)}."
    if not trains and spec.kind != "evaluation":
        return None  # what its values.json holds is known once it ran
    if (kind := _OF_KINDS.get(measure)) is not None:
        return f'only an arm of kind = "{kind}" measures that. Compare such arms, or pass_at_1.'
    if isinstance(spec.recipe, EvaluationStageSettings) and measure in _OF_GENERAL:
        return None if spec.recipe.general else "it has no `general` requests; give it a source."
    if measure == "area" and not trains:
        return "only a run of reinforcement learning is evaluated on the way. Take pass_at_1."
    if measure == "proxy_gain" and isinstance(spec.recipe, R1ZeroRecipe):
        return None if spec.recipe.reward_models else "it has no [reward_models]; give it one."
    if measure == "explained_variance" and isinstance(spec.recipe, R1ZeroRecipe):
        critic = spec.recipe.algorithm.has_critic
        return None if critic else "its algorithm has no critic. Compare arms of [ppo]."
    return None


def _refuse_equal_sides(claim: LoadedClaim, names: Mapping[str, str]) -> None:
    """Raise UserError for a comparison whose arms are one experiment."""
    for number, comparison in enumerate(claim.settings.compare):
        same = comparison.than_measure in (None, comparison.measure)
        if same and names[comparison.arm] == names[comparison.than]:
            raise UserError(
                f"{claim.path}: compare.{number}: {comparison.arm} and {comparison.than} have the "
                "same settings and are one experiment; change a setting of one."
            )


def _measures(spec: StageSpec) -> bool:
    """Whether a stage leaves completions of held-out problems."""
    kind, recipe = registry.get(spec.kind), spec.recipe
    if kind.learns_from == "rewards":
        return isinstance(recipe, R1ZeroRecipe) and bool(recipe.data.heldout)
    return ArtifactType.RESULTS in kind.outputs.values()


def _needed(asked: Iterable[str], specs: Mapping[str, StageSpec]) -> list[StageSpec]:
    """Return the stages that are asked for and all that they read, in order."""
    found, waiting = set[str](), list(asked)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [source.stage for source in specs[name].inputs.values()]
    return [spec for spec in specs.values() if spec.name in found]


def _named(spec: StageSpec, names: Mapping[str, str], label: str, base_folder: Path) -> ArmStage:
    """Return a stage under the name that follows from its content. names: of those it reads."""

    def renamed(values: dict[str, Any]) -> dict[str, Any]:
        def read(at: str) -> str:
            source = spec.inputs[at]
            return f"{MARK}{names[source.stage]}/{source.output}"

        return references.replace(values, read)

    told = renamed(spec.recipe.model_dump(mode="json", exclude_defaults=True))
    algorithm = getattr(spec.recipe, "algorithm_name", "")
    content = [spec.kind, algorithm, told, *_files_of(told, base_folder)]
    text = json.dumps(content, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    table = renamed(spec.recipe.model_dump(mode="json", exclude_unset=True))
    table = {**table, "kind": spec.kind}
    return ArmStage(f"{spec.kind}-{digest}", label, spec, table, base_folder)


def _files_of(settings: Any, base_folder: Path) -> list[str]:
    """Return where the files lie that settings name by paths from `base_folder`."""
    paths = {str(base_folder / text) for text in _texts(settings) if _PATH.fullmatch(text)}
    return sorted(path for path in paths if os.path.exists(path))  # false, too, for a long text


def _texts(settings: Any) -> Iterator[str]:
    if isinstance(settings, str):
        yield settings
    elif isinstance(settings, Mapping):
        for value in settings.values():
            yield from _texts(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _texts(value)
