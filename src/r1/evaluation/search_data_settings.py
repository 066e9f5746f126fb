"""Settings of data made out of a search, and where a search lies (torch-free)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from r1.config import Settings
from r1.curation.settings import ShardSettings
from r1.errors import UserError
from r1.run_dir.evaluation import SEARCH_RESULT, SEARCHES

ANSWERS, STATES = "answers", "states"
"""The two data sets."""
OF_STAGE = "search"
"""The search in the folder of a stage."""


class SearchDataSettings(Settings):
    """Which of a search's answers are kept, and how its branches are labelled."""

    cap: int | None = Field(
        4, ge=1, description="right answers kept of one problem; with a large number, all"
    )
    labels: Literal["soft", "hard"] = Field(
        "soft",
        description='"soft": share of the ends below a branch that are right; "hard": 1 where any '
        "is",
    )
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field(
        {}, description='domain of each family in the data card, such as { cups = "logic" }'
    )


def find_search(path: Path) -> Path:
    """Return the folder of a finished search, given it, its search.json or the stage's folder.

    Raises UserError.
    """
    folder = path.parent if path.name == SEARCH_RESULT else path
    if (folder / OF_STAGE / SEARCH_RESULT).is_file():
        folder = folder / OF_STAGE
    if not (folder / SEARCH_RESULT).is_file() or not (folder / SEARCHES).is_dir():
        raise UserError(
            f"{path} is no finished search: give what a stage of kind search made, or a folder of "
            "`r1 eval --search`."
        )
    return folder
