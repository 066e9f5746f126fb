"""Recipes: TOML files, validated by pydantic, changed by dotted overrides, written as resolved.

Each setting has one home and one default, in the Settings class beside the code that owns it; a
recipe says only what differs. Mistakes are refused before anything starts, with the file, the key
and the nearest valid key. Types must be as in TOML: "7" and 7.0 are no integers, 1 is no boolean,
and every number is finite.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError, model_validator
from pydantic_core import core_schema

from r1.errors import UserError
from r1.files.json_text import FormatError, parse_toml
from r1.files.regular import read_bytes
from r1.plugins import find_beside
from r1.setting_hints import hint_for

_DICTIONARY = re.compile(r"dictionary( or instance of \w+)?")
LARGEST = 2**63 - 1
"""TOML's largest whole number; arrays and seeds hold none that is larger."""


def _make_scalars_strict(node: Any) -> None:
    if isinstance(node, list | tuple):
        for item in node:
            _make_scalars_strict(item)
    elif isinstance(node, dict):
        kind = node.get("type")
        if kind in ("int", "float", "str", "bool"):
            node["strict"] = True
        skipped = ("default", "metadata") if isinstance(kind, str) else ()
        for name, item in node.items():
            if name not in skipped:
                _make_scalars_strict(item)


class Settings(BaseModel):
    """Base of every settings class: unknown keys are refused, values never change in a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    settled: ClassVar[Mapping[str, Any]] = {}
    """Names that were settings once, and the only value each has now: with it, older recipes and
    runs are read, and with any other refused."""

    only_with: ClassVar[Mapping[str, tuple[str, tuple[str, ...]]]] = {}
    """By setting, another one and the values of it without which the first changes nothing: it must
    then stay at its default. A subclass adds to those of its bases."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_settled(cls, values: Any) -> Any:
        return cls.without_settled(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> Self:
        own = type(self)
        pairs = [pair for each in own.__mro__ for pair in vars(each).get("only_with", {}).items()]
        for name, (other, values) in pairs:
            default = own.model_fields[name].get_default(call_default_factory=True)
            if getattr(self, other) not in values and getattr(self, name) != default:
                needed = " or ".join(json.dumps(value) for value in values)
                raise ValueError(
                    f"{name} is for {other} = {needed}; leave it out (by default "
                    f"{json.dumps(default)})"
                )
        return self

    @classmethod
    def without_settled(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values without those that every recipe has now."""
        missing = object()
        return {k: v for k, v in values.items() if cls.settled.get(k, missing) != v}

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Make numbers, texts and booleans strict; lists become tuples, texts paths."""
        schema = handler(source)
        _make_scalars_strict(schema)
        return schema

    @classmethod
    def for_values(cls, values: Mapping[str, Any]) -> type[Self]:
        """Return the class that fits a table's content. Raises ValueError if none does."""
        return cls

    @classmethod
    def for_reference(cls) -> type[Self]:
        """Return the class with every possible section, for the reference of settings."""
        return cls.for_values({})

    @classmethod
    def hint_for_unknown(cls, key: str) -> str | None:
        """Return a hint for an unknown key that only this class can give."""
        return None


S = TypeVar("S", bound=Settings)


def load_recipe(path: Path, schema: type[S], overrides: Sequence[str] = ()) -> S:
    """Read a TOML recipe, apply `section.key=value` overrides and validate.

    Raises UserError for a missing or malformed file, an unknown key (with the nearest valid one),
    a wrong type or an impossible value.
    """
    values = apply_overrides(read_toml(path), overrides)
    find_beside(path.parent)  # its plugins
    return validate(values, schema, origin_of(path, overrides))


def origin_of(path: Path, overrides: Sequence[str]) -> str:
    """Return a recipe's name for messages, with the changes from the command line."""
    keys = ", ".join(override.partition("=")[0].strip() for override in overrides)
    return f"{path} with --set {keys}" if keys else str(path)


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; UserError names the file and the line."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the .toml file inside it.")
    try:
        return parse_toml(read_bytes(path))
    except FileNotFoundError:
        siblings = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise UserError(f"{path} does not exist.{hint}") from None
    except FormatError as fault:
        raise UserError(f"{path} is not valid TOML: {fault}; correct the file.") from None


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return values with each `a.b.c=value` set; value is read as TOML, else as a plain string.

    A number names an item of a list: `data.train.0.limit=100` is of the first source.
    """
    changed = copy.deepcopy(dict(values))
    for override in overrides:
        key, separator, text = override.partition("=")
        parts = key.strip().split(".")
        if not separator or not all(parts):
            raise UserError(f"--set {override!r}: write it as section.key=value.")
        node: Any = changed
        for part in parts[:-1]:
            node = _entered(node, part, override)
        if isinstance(node, list):
            node[_index(node, parts[-1], override)] = _parse_value(text.strip())
        else:
            node[parts[-1]] = _parse_value(text.strip())
    return changed


def apply_changes(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with each change set: a table is merged into its section, `a.b.c` is a path.

    Unlike `apply_overrides` it takes values of Python; paths and tuples become what TOML has.
    """
    changed = copy.deepcopy(dict(values))
    for key, value in changes.items():
        tables = as_toml(value)
        for part in reversed(key.split(".")):
            tables = {part: tables}
        changed = merged(changed, tables)
    return changed


def as_toml(value: Any) -> Any:
    """Return a Python value as TOML holds it: paths as texts, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): as_toml(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_toml(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _entered(node: Any, part: str, override: str) -> Any:
    """Return the section below a node, created if missing."""
    if isinstance(node, list):
        below = node[_index(node, part, override)]
    else:
        below = node.setdefault(part, {})
    if not isinstance(below, dict | list):
        raise UserError(f"--set {override!r}: {part!r} is a value, not a section.")
    return below


def _index(items: list[Any], part: str, override: str) -> int:
    if not part.isascii() or not part.isdigit() or int(part) >= len(items):
        raise UserError(
            f"--set {override!r}: {part!r} is no item of a list of {len(items)}; name one by its "
            "number, the first by 0."
        )
    return int(part)


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge of nested tables; the second wins."""
    values = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        values[key] = merged(values[key], value) if both else value
    return values


def validate(values: Mapping[str, Any], schema: type[S], origin: str) -> S:
    """Build `schema` from nested dictionaries; UserError lists every problem, one per line."""
    faults = list(_impossible(values, ()))
    if not faults:
        try:
            schema = schema.for_values(values)
            return schema.model_validate(values)
        except ValidationError as error:
            faults = [_explain(item, schema) for item in _causes(error.errors())]
        except ValueError as error:
            faults = [str(error)]
    raise UserError(f"{origin}:\n" + "\n".join(f"  {line}" for line in faults))


def _causes(items: Sequence[Any]) -> list[Any]:
    """Remove faults that follow from others: a list counts as too short if its items are faulty."""
    places = [tuple(item["loc"]) for item in items]
    return [
        item
        for item, at in zip(items, places, strict=True)
        if item["type"] != "too_short" or not any(o[: len(at)] == at != o for o in places)
    ]


def _impossible(value: Any, at: tuple[str, ...]) -> Iterator[str]:
    """Return values that no setting may have: dates, huge numbers, text that is not UTF-8."""
    name = ".".join(at)
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _impossible(item, (*at, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _impossible(item, (*at, str(index)))
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield f"{name}: a whole number has at most 63 bits; give a smaller one."
    elif isinstance(value, str) and _unencodable(value):
        yield f"{name}: the text is not UTF-8; write it in UTF-8."
    elif isinstance(value, date | time):
        yield f"{name}: {value} is a date or a time, which no setting is; write it in quotes."


def _unencodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def dump(settings: Settings) -> dict[str, Any]:
    """Return the fully resolved settings as JSON-serialisable dictionaries."""
    return settings.model_dump(mode="json")


def as_now(stored: Mapping[str, Any], schema: type[Settings]) -> dict[str, Any]:
    """Return dumped settings, with today's defaults for settings that did not exist then.

    Keys that are no settings are kept, unless they are settled with that value; values that today's
    schema refuses are returned unchanged.
    """
    try:
        schema = schema.for_values(stored)
        kept = schema.without_settled(stored)
        known = {key: value for key, value in kept.items() if key in schema.model_fields}
        return {**kept, **dump(schema.model_validate(known))}
    except ValueError:  # pydantic's ValidationError is one
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
        return f"{name}: unknown setting; {hint_for(location[-1], location[:-1], schema)}"
    if item["type"] == "missing":
        return f"{name}: this setting is required; add it."
    given = item.get("input")
    shown = "" if isinstance(given, dict) else f" (given: {_shown(given)})"
    message = _in_toml(item["msg"].removeprefix("Value error, "))
    told = f"{message[:1].lower() + message[1:]}{shown}{_remedy(item, given)}"
    return f"{name}: {told}" if name else told


def _in_toml(message: str) -> str:
    """Return pydantic's words with TOML's names of Python's types."""
    message = _DICTIONARY.sub("table", message).replace(" after validation", "")
    return message.replace("Tuple", "A list").replace("tuple", "list")


def _remedy(item: Mapping[str, Any], given: Any) -> str:
    """Return how to write a value that has the wrong type or is close to an allowed one."""
    kind = item["type"]
    if kind == "bool_type":
        return "; write true or false, without quotes"
    if kind in ("int_type", "float_type") and isinstance(given, str):
        return "; write the number without quotes" if _is_number(given) else "; write a number"
    if kind == "int_type" and isinstance(given, float) and given.is_integer():
        return f"; write {int(given)}"
    if kind == "finite_number":
        return "; write a number that is neither infinite nor nan"
    if kind == "string_type" and isinstance(given, int | float):
        return "; write it in quotes"
    if kind in ("tuple_type", "list_type") and isinstance(given, str | int | float):
        return "; write a list, in brackets: [...]"
    if kind in ("tuple_type", "list_type") and isinstance(given, Mapping):
        return f"; write it as a list of tables, [[{'.'.join(map(str, item['loc']))}]]"
    if kind in ("model_type", "dict_type"):
        one = "one section" if isinstance(given, list) else "a section"
        return f"; write it as {one}, [{'.'.join(map(str, item['loc']))}]"
    if kind == "literal_error" and isinstance(given, str):
        allowed = item["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        near = difflib.get_close_matches(given.lower(), allowed, n=1)
        return f"; did you mean {near[0]!r}?" if near else ""
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(given: Any) -> str:
    """Return a value as TOML, shortened if it is long."""
    finite = not isinstance(given, float) or math.isfinite(given)
    text = json.dumps(given, ensure_ascii=False, default=str) if finite else repr(given)
    return text if len(text) <= 200 else text[:197] + "..."
