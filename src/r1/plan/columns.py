"""Which columns of a file training reads, so that the others do not count as tokens (torch-free).

Left out on purpose: labelled steps, whose layouts are told row by row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from r1.errors import UserError
from r1.preferences.read import known_columns
from r1.preferences.source import PreferenceSource
from r1.preferences.types import Form
from r1.sft.rows import choose_layout
from r1.sft.settings import ExampleSource

_FORMS: tuple[Form, ...] = ("pairs", "labels")


def columns_read(source: Any, names: Sequence[str]) -> Collection[str]:
    """Return those of a source's columns that are read; all of them where that is unknown."""
    if isinstance(source, ExampleSource):
        try:
            return choose_layout(source, names, "").columns
        except UserError:  # the loader's to tell
            return names
    for form in _FORMS if isinstance(source, PreferenceSource) else ():
        try:
            return known_columns(source, form, list(names), "")[1]
        except UserError:
            continue
    return names
