"""What a recipe's `columns` name: a column, a column inside a column, or a text made of columns.

    prompt = "question"                              a column
    reference = "reward_model.ground_truth"          a column inside a column
    prompt = "{instruction}\\n{input}"                a text: each {name} is replaced by its column
    prompt = "{}Name a colour."                      the same text in every row: {} is nothing

{{ and }} are braces. A column that is null or empty leaves nothing in a text, a list of texts its
items lettered a line each ("A) Paris"), and white space at either end of the text goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from r1.data.column_text import PART, column_names, is_template
from r1.data.rows import RowError, number_text, shown

ABSENT: Any = object()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def top_names(column: str, available: Mapping[str, Any] | list[str]) -> list[str]:
    """The columns of the file that a recipe's column needs: of "a.b" the column a."""
    return [name if name in available else name.partition(".")[0] for name in column_names(column)]


def missing_name(column: str, available: Mapping[str, Any] | list[str]) -> str | None:
    """The first column that a recipe's column needs and a file has not, or None."""
    for name in column_names(column):
        if name not in available and name.partition(".")[0] not in available:
            return name
    return None


def take_column(row: Mapping[str, Any], column: str) -> Any:
    """The value of a recipe's column in a row; ABSENT where it is not there.

    Raises RowError for a text of which a column is missing, or holds what is no text.
    """
    if is_template(column):
        return _filled(row, column)
    value = row.get(column, ABSENT)
    return _nested(row, column) if value is ABSENT and "." in column else value


def _nested(row: Mapping[str, Any], column: str) -> Any:
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value


def _filled(row: Mapping[str, Any], template: str) -> str:
    def text(part: re.Match[str]) -> str:
        if part[1] is None:
            return part[0][0]
        return _text(take_column(row, part[1]), part[1]) if part[1] else ""

    return PART.sub(text, template).strip()


def _text(value: Any, name: str) -> str:
    if value is ABSENT:
        raise RowError(f'no column "{name}", which the text of `columns` needs')
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return lettered(value)
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    raise RowError(f"{name} is {shown(value)}; a text can hold texts and numbers")


def lettered(options: list[str]) -> str:
    """Options, a line each, with their letters; RowError for more than there are letters."""
    if len(options) > len(LETTERS):
        raise RowError(f"{len(options)} options; there are letters for {len(LETTERS)}")
    return "\n".join(
        f"{letter}) {text.strip()}" for letter, text in zip(LETTERS, options, strict=False)
    )
