"""The metrics that docs/run-folder.md names, and those that rows or code have beyond them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "run-folder.md"
_STANDS_FOR_A_NAME = re.compile(r"[A-Z]+")


def named_metrics() -> list[str]:
    """The names in the first column of the page's tables of metrics; capitals stand for a name."""
    _, _, section = PAGE.read_text().partition("## The metrics")
    section, _, _ = section.partition("## Carrying on")
    return [
        name
        for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    ]


def unnamed(metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that the page does not name."""
    patterns = [re.compile(_STANDS_FOR_A_NAME.sub(".+", name)) for name in named_metrics()]
    return sorted(
        metric
        for metric in set(metrics)
        if not any(pattern.fullmatch(metric) for pattern in patterns)
    )
