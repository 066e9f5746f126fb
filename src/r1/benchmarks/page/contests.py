"""Codeforces' rows of the paper's table 4: pass@1 is none of its figures, two others are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from r1.benchmarks.protocol import table_4

CODEFORCES = "codeforces"


class ContestRow(NamedTuple):
    """A row. figure: its name in the result; scale: of it; places: decimals; published: the
    paper's."""

    title: str
    figure: str
    scale: float
    places: int
    published: Mapping[str, float]

    def value(self, result: Mapping[str, Any] | None) -> float | None:
        """A model's figure by the first way of scoring; None where it was not measured."""
        told = ((result or {}).get("further") or {}).get("by_scoring") or {}
        first = next(iter(told.values()), None)
        return None if first is None else self.scale * float(first[self.figure])


CONTEST_ROWS = (
    ContestRow(
        "Codeforces, beaten", "beaten", 100.0, 1, table_4(20.3, 23.6, 58.7, 93.4, 96.3, o1=96.6)
    ),
    ContestRow(
        "Codeforces, rating", "rating", 1.0, 0, table_4(717, 759, 1134, 1820, 2029, o1=2061)
    ),
)
