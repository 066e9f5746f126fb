"""Recipes by their kind (torch-free).

kind = "r1"             stages, one after another (r1.py)
kind of a trainer       a recipe of its own: one run folder
any other stage kind    a pipeline of one stage, which is called by its kind
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1.config import Settings, apply_overrides, origin_of, read_toml, validate
from r1.errors import UserError
from r1.pipeline.r1 import R1Recipe
from r1.plugins import find_beside
from r1.setting_hints import kind_hint
from r1.stages import registry
from r1.stages.protocol import StageKind

PIPELINE_KIND = "r1"
PLUGINS = "plugins"

Recipe = Any
"""R1Recipe, or the settings of a kind that trains."""


def schemas() -> dict[str, type[Settings]]:
    """Return the settings class of every kind of recipe, by name."""
    found = {name: kind.settings for name, kind in registry.kinds().items()}
    return {**found, PIPELINE_KIND: R1Recipe}


def load_any_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of the kind named by `kind`, by default the assumed one.

    Raises UserError as `load_recipe` does, and for an unknown kind.
    """
    values = apply_overrides(read_toml(path), overrides)
    find_beside(path.parent)  # its plugins
    return check_recipe(values, origin_of(path, overrides))


def check_recipe(values: Mapping[str, Any], origin: str) -> Recipe:
    """Return the settings that a recipe's tables stand for. origin: what messages call it.

    Raises UserError as `load_any_recipe` does.
    """
    refuse_other_tables(values, origin)
    assumed = registry.assumed().name
    kind = values.get("kind", assumed)
    if kind != PIPELINE_KIND:
        registry.import_plugins(_plugins(values))
    if not isinstance(kind, str) or kind not in schemas():
        hint = kind_hint(kind, schemas(), {**registry.other_names(), "pipeline": PIPELINE_KIND})
        raise UserError(f"{origin}: kind = {kind!r} is no kind of recipe; {hint}")
    if kind == PIPELINE_KIND:
        return validate(values, R1Recipe, origin)
    known = registry.get(kind)
    if known.train is None or registry.plugin_of(kind):
        return _of_one_stage(known, values, origin)
    try:
        return validate(values, known.settings, origin)
    except UserError as error:
        if "kind" in values:
            raise
        raise UserError(f"{error}\n  {_without_kind(values, assumed)}") from None


def refuse_other_tables(values: Mapping[str, Any], origin: str) -> None:
    """Raise UserError for the table of a claim or a benchmark, with the command that takes it."""
    if values.keys() >= {"says", "compare"}:
        raise UserError(f"{origin} is a claim and no recipe; r1 reproduce {origin} runs it.")
    if isinstance(values.get("data"), str) and "prompt" in values:
        raise UserError(
            f"{origin} is a benchmark and no recipe; r1 bench run MODEL {origin} runs it."
        )


def _plugins(values: Mapping[str, Any]) -> list[str]:
    """Return the plugin modules of a recipe; wrong types are reported with the settings."""
    named = values.get(PLUGINS)
    modules = named if isinstance(named, list) else []
    return [module for module in modules if isinstance(module, str)]


def _of_one_stage(kind: StageKind, values: Mapping[str, Any], origin: str) -> R1Recipe:
    """Return a pipeline of one stage. Settings unknown to the stage belong to the recipe
    ([cluster])."""
    own = kind.settings.model_fields
    whole = set(R1Recipe.model_fields) - {"kind", "seed", "stages"} - set(own)
    stage = {key: value for key, value in values.items() if key not in whole}
    checked = {key: value for key, value in stage.items() if key in own or key not in _FOR_PEOPLE}
    validate(checked, kind.settings, origin)
    recipe: dict[str, Any] = {key: values[key] for key in whole & set(values)}
    recipe |= {"kind": PIPELINE_KIND, "stages": {kind.name: {"kind": kind.name, **stage}}}
    return validate(recipe, R1Recipe, origin)


_FOR_PEOPLE = ("kind", "title")
"""Keys of every stage's table that need not be settings of its kind."""


def _without_kind(values: Mapping[str, Any], assumed: str) -> str:
    """Return the kind that most of a recipe's keys belong to, if it names none."""
    known = schemas()

    def likeness(name: str) -> tuple[int, bool, int]:
        fields = known[name].model_fields.keys()
        return len(values.keys() & fields), name == assumed, -len(fields)

    likely = max(known, key=likeness)
    said = f'It has no `kind`, and was read as kind = "{assumed}"'
    return f"{said}." if likely == assumed else f'{said}; did you mean kind = "{likely}"?'
