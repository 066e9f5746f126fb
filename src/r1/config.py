"""Recipes: TOML files validated by pydantic, changed by dotted overrides, dumped as resolved.

Each setting has one home and one default, in the Settings class beside the code that owns it;
a recipe says only what differs. Mistakes are refused before anything starts, with the file, the
key and the nearest valid key.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from r1.errors import UserError
from r1.files.json_text import FormatError, parse_toml
from r1.files.regular import read_bytes


class Settings(BaseModel):
    """Base of every settings class: unknown keys are refused and values never change in a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Settings)


def load_recipe(path: Path, schema: type[S], overrides: Sequence[str] = ()) -> S:
    """Read a TOML recipe, apply `section.key=value` overrides and validate.

    Raises UserError for a missing or malformed file, an unknown key (with the nearest valid one),
    a wrong type or an impossible value.
    """
    return validate(apply_overrides(read_toml(path), overrides), schema, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; UserError names the file and the line."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the recipe's .toml file inside it.")
    try:
        return parse_toml(read_bytes(path))
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise UserError(f"recipe {path} does not exist.{hint}") from None
    except FormatError as fault:
        raise UserError(f"{path} is not valid TOML: {fault}; mend the file.") from None


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return values with each `a.b.c=value` set; value is read as TOML, else as a bare string."""
    changed = json.loads(json.dumps(values, default=str)) if values else {}
    for override in overrides:
        key, separator, text = override.partition("=")
        parts = key.strip().split(".")
        if not separator or not all(parts):
            raise UserError(f"--set {override!r}: write it as section.key=value.")
        node = changed
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise UserError(f"--set {override!r}: {part!r} is a value, not a section.")
        node[parts[-1]] = _parse_value(text.strip())
    return changed


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, the second laid over the first, value by value."""
    values = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = merged(values[key], value) if both else value
    return values


def validate(values: dict[str, Any], schema: type[S], origin: str) -> S:
    """Build `schema` from nested dictionaries; UserError lists every problem, one a line."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        lines = [_explain(item, schema) for item in error.errors()]
        raise UserError(f"{origin}:\n" + "\n".join(f"  {line}" for line in lines)) from None


def dump(settings: Settings) -> dict[str, Any]:
    """Return the fully resolved settings as JSON-serialisable dictionaries."""
    return settings.model_dump(mode="json")


def as_now(stored: Mapping[str, Any], schema: type[Settings]) -> dict[str, Any]:
    """Dumped settings, with today's defaults for settings that are newer than they.

    Keys that are no settings are kept; what today's schema refuses comes back as it is.
    """
    known = {key: value for key, value in stored.items() if key in schema.model_fields}
    try:
        return {**stored, **dump(schema.model_validate(known))}
    except ValidationError:
        return dict(stored)


def _parse_value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}".encode("utf-8", "surrogateescape"))["value"]
    except FormatError:
        return text


def _explain(item: Any, schema: type[BaseModel]) -> str:
    location = [str(part) for part in item["loc"]]
    name = ".".join(location)
    if item["type"] == "extra_forbidden":
        valid = _keys_at(schema, location[:-1])
        near = difflib.get_close_matches(location[-1], valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}."
        return f"{name}: unknown setting; {hint}"
    if item["type"] == "missing":
        return f"{name}: this setting is required; add it."
    given = item.get("input")
    shown = "" if isinstance(given, dict) else f" (given: {given!r})"
    message = item["msg"].removeprefix("Value error, ")
    return f"{name or 'recipe'}: {message[:1].lower() + message[1:]}{shown}"


def _keys_at(schema: type[BaseModel], location: Sequence[str]) -> list[str]:
    """The field names of the settings class that sits at a dotted location."""
    current: type[BaseModel] = schema
    for part in location:
        fields = current.model_fields
        if part not in fields:
            continue  # an index, or the tag of a union
        for candidate in _settings_classes(fields[part].annotation):
            current = candidate
            break
    return list(current.model_fields)


def _settings_classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for argument in getattr(annotation, "__args__", ()):
        found.extend(_settings_classes(argument))
    return found
