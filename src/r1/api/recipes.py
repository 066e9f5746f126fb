"""Recipes as objects of Python: a file with changes, or tables written as keywords.

Both are checked as a file is by `r1 run`: unknown keys with the nearest valid one, types, values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1.config import apply_changes, dump, read_toml
from r1.pipeline.recipe import check_recipe
from r1.plugins import find_beside


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. Raises UserError on construction where a setting is wrong.

    values: the tables, as TOML would hold them. file: what messages call the recipe, and where its
    relative paths start: in its folder. settings: the resolved settings, defaults included.
    """

    values: Mapping[str, Any] = field(repr=False)
    file: Path
    settings: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        find_beside(self.base_folder)  # its plugins
        object.__setattr__(self, "settings", check_recipe(self.values, str(self.file)))

    @property
    def base_folder(self) -> Path:
        """Where the recipe's relative paths start."""
        return self.file.parent

    @property
    def kind(self) -> str:
        """The kind of recipe: "r1_zero", "sft", "dpo", "reward_model", "r1", ..."""
        return str(self.settings.kind)

    def changed(self, **changes: Any) -> Recipe:
        """Return the recipe with changes: tables are merged, `**{"grpo.clip_high": 0.28}` is a
        path."""
        return Recipe(apply_changes(self.values, changes), self.file)

    def as_dict(self) -> dict[str, Any]:
        """Return every setting with its value, as a run's recipe.json holds them."""
        return dump(self.settings)


def load_recipe(path: str | Path, **changes: Any) -> Recipe:
    """Read a TOML recipe and apply changes, such as `num_steps=4, grpo={"clip_high": 0.28}`.

    Raises UserError for a missing or malformed file, an unknown key, a wrong type or an impossible
    value.
    """
    file = Path(path)
    return Recipe(apply_changes(read_toml(file), changes), file)


def recipe(*, base_folder: str | Path = ".", **settings: Any) -> Recipe:
    """Return a recipe made of keywords, each a setting or a table of a recipe's file.

        r1.recipe(model="tiny", num_steps=4, data={"train": [{"path": "problems.jsonl"}]})

    base_folder: where relative paths start. Raises UserError as `load_recipe` does.
    """
    return Recipe(apply_changes({}, settings), Path(base_folder) / "r1.recipe(...)")


def as_recipe(given: Recipe | str | Path) -> Recipe:
    """Return a recipe as it is, or read its file."""
    return given if isinstance(given, Recipe) else load_recipe(given)
