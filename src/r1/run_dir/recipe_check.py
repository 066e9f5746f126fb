"""Decide whether a folder belongs to a recipe: same kind and settings, except for settings that may
change or grow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.files.shapes import read_json
from r1.run_dir.shapes import StoredIdentity

_SHOWN = 6
_MISSING = object()


def refuse_other_kind(folder: Path, kind: str) -> None:
    """Raise UserError if `folder` already holds a run of another kind."""
    made_by = read_json(folder / "run.json", {"kind": kind}, StoredIdentity)["kind"]
    if made_by != kind:
        raise UserError(
            f"{folder} is a run of kind {made_by!r}, not {kind!r}. Nothing was changed; "
            "give another folder."
        )


def stored_recipe(folder: Path) -> dict[str, Any] | None:
    """Return the recipe of the run in `folder`; None before there is one. UserError if it was
    lost."""
    before: dict[str, Any] | None = read_json(folder / "recipe.json")
    if before is None and (folder / "metrics.jsonl").exists():
        raise UserError(f"{folder} has lost its recipe.json; restore it or give another folder.")
    return before


def refuse_other_recipe(folder: Path, lines: Sequence[str]) -> None:
    """Raise UserError if the recipe of the run in `folder` differs (lines: `differences`)."""
    if not lines:
        return
    raise UserError(
        f"{folder} belongs to another recipe. It differs in:\n{first_lines(lines, _SHOWN)}\n"
        "Nothing was changed. To carry that run on, use its own settings (check the recipe "
        "and every --set); for a new run, give another folder."
    )


def first_lines(lines: Sequence[str], most: int) -> str:
    """Indent the first lines and state how many more there are."""
    shown = "\n".join(f"  {line}" for line in lines[:most])
    return shown + (f"\n  and {len(lines) - most} more" if len(lines) > most else "")


def grown(before: Mapping[str, Any], now: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """Return a line per dotted key whose number grew or lost its limit (null)."""
    old, new = flatten(before), flatten(now)
    return [
        f"{key}: {_shown(old[key])} in the run, {_shown(new[key])} now"
        for key in keys
        if isinstance(old.get(key), int)
        and key in new
        and (new[key] is None or (isinstance(new[key], int) and new[key] > old[key]))
    ]


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], ignore: Sequence[str] = ()
) -> list[str]:
    """Return a line per dotted key whose value differs, in key order; an item of a list of tables
    is named by its number, as `--set` does, where there are as many of them."""
    old, new = flatten(before), flatten(now)
    for key in [key for key in old if _are_tables(old[key], new.get(key))]:
        old |= _numbered(key, old.pop(key))
        new |= _numbered(key, new.pop(key))
    changed = [key for key in old | new if old.get(key, _MISSING) != new.get(key, _MISSING)]
    return [
        f"{key}: {_shown(old.get(key, _MISSING))} in the run, {_shown(new.get(key, _MISSING))} now"
        for key in changed
        if not any(key == name or key.startswith(f"{name}.") for name in ignore)
    ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested dictionaries to dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _are_tables(old: Any, new: Any) -> bool:
    """Whether both are lists of equally many tables."""
    both = [*old, *new] if isinstance(old, list | tuple) and isinstance(new, list | tuple) else []
    return bool(both) and len(old) == len(new) and all(isinstance(each, Mapping) for each in both)


def _numbered(key: str, tables: Sequence[Any]) -> dict[str, Any]:
    return flatten({f"{key}.{number}": table for number, table in enumerate(tables)})


def _shown(value: Any) -> str:
    return "not set" if value is _MISSING else json.dumps(value, ensure_ascii=False)
