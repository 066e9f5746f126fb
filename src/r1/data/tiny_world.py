"""Problems from the tiny world (r1.data.tiny)."""

from __future__ import annotations

from pathlib import Path

from r1.data.rows import Table
from r1.data.settings import SourceSettings


def load(settings: SourceSettings, base_folder: Path) -> Table:
    """Draw settings.num problems; UserError for an unknown family, language or level."""
    from r1.data.tiny.problems import make_problems

    problems = make_problems(
        split=str(settings.split),
        families=settings.families,
        languages=settings.languages,
        num=settings.num,
        seed=settings.seed,
        levels=settings.levels,
    )
    return Table(settings.label, list(range(1, len(problems) + 1)), problems)
