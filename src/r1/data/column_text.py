"""The text of a column's name in a recipe: plain, or made of columns (torch-free)."""

from __future__ import annotations

import re

PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def is_template(column: str) -> bool:
    """Whether a column's name in a recipe is a text made of columns."""
    return "{" in column or "}" in column


def check_template(column: str) -> None:
    """Raise ValueError for a brace that neither names a column nor is doubled."""
    for part in PART.finditer(column):
        if part[0] in ("{", "}"):
            raise ValueError(
                f"{column!r} has a lone {part[0]!r}; write {part[0] * 2} for the brace itself"
            )


def column_names(column: str) -> list[str]:
    """The columns that a recipe's column needs, as a recipe would name them."""
    if not is_template(column):
        return [column]
    return [part[1] for part in PART.finditer(column) if part[1]]
