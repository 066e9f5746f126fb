"""The settings of every recipe and stage kind as a tree, generated from the code.

    node = find("r1_zero.sampling")[0].node        or "sampling", "rejection.filters", "sft"

A node is a section of a recipe: its settings, each with type, default and description, and the
sections inside it. Defaults are those that hold at this place: a section may change what its class
says (`checkpoints.every` is 10 in reinforcement learning and 50 in fine-tuning). Torch-free;
settings_page.py shows it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from r1.benchmarks.table import BenchmarkTable
from r1.config import Settings
from r1.data.source_base import DataSource
from r1.endpoint.settings import SECTION, SampledEndpointSettings
from r1.errors import UserError
from r1.pipeline import recipe
from r1.pretrain.settings import PretrainRecipe
from r1.setting_hints import ALIKE, CLOSE, hint_for, setting_paths, settings_classes

REQUIRED, LEFT_OUT = "required", "left out"
_PLAIN = {
    bool: ("true or false", "truth values"), int: ("whole number", "whole numbers"),
    float: ("number", "numbers"), str: ("text", "texts"), Path: ("text", "texts"),
}  # fmt: skip
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


class Setting(NamedTuple):
    """One setting. default: as TOML writes it, REQUIRED or LEFT_OUT."""

    name: str
    type: str
    default: str
    description: str


class SectionNode(NamedTuple):
    """A section. heading: as TOML opens it, empty for a whole recipe; path: its dotted name."""

    path: str
    heading: str
    description: str
    schema: type[BaseModel]
    settings: tuple[Setting, ...]
    parts: tuple[SectionNode, ...]


class ReferencePart(NamedTuple):
    """A part of the reference, and the kinds of recipes and stages that have it just so."""

    node: SectionNode
    kinds: tuple[str, ...]


@cache
def schemas() -> dict[str, type[BaseModel]]:
    """Return the kinds of recipes, those that are only stages, and what commands take besides."""
    found: dict[str, type[Settings]] = {**recipe.schemas(), "pretrain": PretrainRecipe}
    found |= {SECTION: SampledEndpointSettings, "benchmark": BenchmarkTable}
    return {name: schema.for_reference() for name, schema in found.items()}


@cache
def tree_of(kind: str) -> SectionNode:
    """Return the settings of a kind of recipe or stage."""
    schema = schemas()[kind]
    return _node(schema, schema.model_construct(), "", "", summary_of(schema))


def find(section: str) -> list[ReferencePart]:
    """Find a name: a kind, a section of one ("sft.batch") or of any kind ("sampling"), or a setting
    ("optimizer.lr"). Returns each variant if kinds differ.

    Raises UserError, with the nearest name.
    """
    if section in schemas():
        return [ReferencePart(tree_of(section), (section,))]
    found: list[ReferencePart] = []
    for kind in schemas():
        for path in dict.fromkeys((section, section.removeprefix(f"{kind}."))):
            node = _at(tree_of(kind), path)
            if node is None:
                continue
            same = next((place for place, other in enumerate(found) if other.node == node), None)
            if same is None:
                found.append(ReferencePart(node, (kind,)))
            elif kind not in found[same].kinds:
                found[same] = found[same]._replace(kinds=(*found[same].kinds, kind))
    if not found:
        raise UserError(
            f"no kind of recipe, section or setting is called {section!r}; {_hint(section)}"
        )
    return found


def kinds_with(section: str) -> list[str]:
    """Return the kinds that have a section of this name."""
    return [kind for kind in schemas() if _at(tree_of(kind), section) is not None]


def leaves(node: SectionNode, above: str = "") -> Iterator[tuple[str, Setting]]:
    """Return every setting of a node by its dotted path from there."""
    for setting in node.settings:
        yield f"{above}{setting.name}", setting
    for part in node.parts:
        yield from leaves(part, f"{above}{part.path.rpartition('.')[2]}.")


def summary_of(schema: type[BaseModel]) -> str:
    """Return the first paragraph of a schema's docstring on one line."""
    return " ".join((schema.__doc__ or "").split("\n\n")[0].split())


def _node(
    schema: type[BaseModel], values: BaseModel, path: str, heading: str, description: str
) -> SectionNode:
    """Build a node. values: the defaults; a required setting has none."""
    settings, parts = [], []
    for name, field in schema.model_fields.items():
        classes = settings_classes(field.annotation)
        if not classes:
            settings.append(_setting(schema, name, field, values))
            continue
        [inner] = classes
        own = getattr(values, name, None)
        below = f"{path}.{name}".lstrip(".")
        parts.append(
            _node(
                inner,
                own if isinstance(own, BaseModel) else inner.model_construct(),
                below,
                _heading(field, below),
                _told(field, inner, own),
            )
        )
    return SectionNode(path, heading, description, schema, tuple(settings), tuple(parts))


def _heading(field: FieldInfo, path: str) -> str:
    held = [get_origin(part) for part in (field.annotation, *get_args(field.annotation))]
    if tuple in held:
        return f"[[{path}]]"
    return f"[{path}.NAME]" if dict in held else f"[{path}]"


def _told(field: FieldInfo, inner: type[BaseModel], own: Any) -> str:
    """Return a section's description: its field's, else its class's."""
    told = field.description or ""
    said = f"{told[:1].upper()}{told[1:]}." if told else summary_of(inner)
    if field.is_required():
        return f"{said} Required."
    return f"{said} Left out by default." if own is None and "eft out" not in said else said


def _setting(owner: type[BaseModel], name: str, field: FieldInfo, values: BaseModel) -> Setting:
    kind = _bounded(type_name(field.annotation), field)
    inferred = name == "kind" and issubclass(owner, DataSource)
    if field.is_required() and not inferred:
        default = REQUIRED
    else:
        default = LEFT_OUT if inferred else toml(getattr(values, name))
    return Setting(name, kind, default, field.description or "")


def _bounded(name: str, field: FieldInfo) -> str:
    """Return a type's name with the bounds of its numbers."""
    bounds = [
        f"{sign} {getattr(item, key):g}"
        for item in field.metadata
        for key, sign in _BOUNDS.items()
        if getattr(item, key, None) is not None
    ]
    word = "numbers" if "numbers" in name else "number"
    return name.replace(word, f"{word} {', '.join(bounds)}", 1) if bounds else name


def type_name(annotation: Any, plural: bool = False) -> str:
    """Return a type in words: "list of texts", '"adamw" | "muon"'."""
    if annotation in _PLAIN:
        return _PLAIN[annotation][plural]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounded(type_name(arguments[0], plural), arguments[1])
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if origin in (Union, UnionType):
        return " | ".join(type_name(part) for part in arguments if part is not type(None))
    if origin is tuple:
        number = "" if Ellipsis in arguments else f"{len(arguments)} "
        return f"list of {number}{type_name(arguments[0], plural=True)}"
    if origin is dict and arguments[1] in _PLAIN:
        return f"table of {type_name(arguments[1], plural=True)}"
    return "tables" if plural else "table"


def toml(value: Any) -> str:
    """Return a default as TOML; LEFT_OUT for None."""
    if value is None:
        return LEFT_OUT
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return f"{value:g}" if "." in f"{value:g}" or "e" in f"{value:g}" else f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False)


def _at(node: SectionNode, path: str) -> SectionNode | None:
    """Return the section at a path, or one with only the setting asked for."""
    for part in node.parts:
        if path == part.path:
            return part
        if path.startswith(f"{part.path}."):
            return _at(part, path)
    name = path.removeprefix(f"{node.path}.") if node.path else path
    wanted = tuple(setting for setting in node.settings if setting.name == name)
    return node._replace(settings=wanted, parts=()) if wanted else None


def _hint(section: str) -> str:
    """Return the nearest kind, section or setting."""
    known, section = schemas(), section.strip(".")
    kind, _, rest = section.partition(".")
    if kind in known and rest:
        *above, key = rest.split(".")
        return hint_for(key, above, known[kind])
    paths = [path for schema in known.values() for path in setting_paths(schema)]
    close = [name + section.removeprefix(kind) for name in _near(kind, known, CLOSE)]
    if near := close or _near(section, paths, CLOSE):
        return f"did you mean {near[0]!r}?"
    *above, key = section.split(".")
    hints = [hint_for(key, above, schema) for schema in known.values()]
    if meant := [hint for hint in hints if not hint.startswith("valid keys")]:
        return meant[0]
    near = _near(section, known, ALIKE)
    return f"did you mean {near[0]!r}?" if near else f"kinds: {', '.join(known)}."


def _near(given: str, names: Iterable[str], cutoff: float) -> list[str]:
    return difflib.get_close_matches(given, list(names), n=1, cutoff=cutoff)
