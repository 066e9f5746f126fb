"""Whether a folder belongs to a recipe: same kind, same settings, but for those that may change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.files.shapes import read_json
from r1.run_dir.shapes import Identity

_SHOWN = 6
_MISSING = object()


def refuse_other(
    folder: Path,
    recipe: Mapping[str, Any],
    kind: str,
    ignore: Sequence[str],
    as_now: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> None:
    """Raise UserError where `folder` already holds a run of another kind or recipe.

    as_now: a stored recipe with the defaults of settings that are newer than it.
    """
    made_by = read_json(folder / "run.json", {"kind": kind}, Identity)["kind"]
    if made_by != kind:
        raise UserError(
            f"{folder} is a run of kind {made_by!r}, not {kind!r}. Nothing was changed; "
            "give another folder."
        )
    before = read_json(folder / "recipe.json")
    if before is None and (folder / "metrics.jsonl").exists():
        raise UserError(f"{folder} has lost its recipe.json; restore it or give another folder.")
    if before is None:
        return
    lines = differences(as_now(before), json.loads(json.dumps(recipe)), ignore)
    if lines:
        shown = "\n".join(f"  {line}" for line in lines[:_SHOWN])
        more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise UserError(
            f"{folder} belongs to another recipe. It differs in:\n{shown}{more}\n"
            "Nothing was changed. To carry that run on, use its own settings (check the recipe "
            "and every --set); for a new run, give another folder."
        )


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], ignore: Sequence[str] = ()
) -> list[str]:
    """One line per dotted key whose value differs, in the order of the keys."""
    old, new = flatten(before), flatten(now)
    changed = [key for key in old | new if old.get(key, _MISSING) != new.get(key, _MISSING)]
    return [
        f"{key}: {_shown(old.get(key, _MISSING))} in the run, {_shown(new.get(key, _MISSING))} now"
        for key in changed
        if not any(key == name or key.startswith(f"{name}.") for name in ignore)
    ]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one of dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _shown(value: Any) -> str:
    return "not set" if value is _MISSING else json.dumps(value, ensure_ascii=False)
