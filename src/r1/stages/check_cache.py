"""What the checks of a pipeline's stages share: the stages' settings, and what was read already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1.data.settings import SourceSettings
from r1.rewards.settings import RewardSettings
from r1.types import Problem


class CheckCache:
    """Problems and other checks that passed, by the data that they read.

    stages: the settings of all stages by name, for a check that looks at what it refers to.
    """

    def __init__(self, base_folder: Path, stages: Mapping[str, Any] | None = None) -> None:
        self.base_folder = base_folder
        self.stages = stages or {}
        self._examples: dict[str, list[Problem]] = {}
        self._passed: set[str] = set()

    def examples(self, source: SourceSettings, rewards: RewardSettings) -> list[Problem]:
        """Check a source's problems; return the first per verifier and family."""
        from r1.data.load import load_problems
        from r1.rewards.accuracy import check_reference

        key = f"{source.model_dump_json()} {rewards.model_dump_json()}"
        if key not in self._examples:
            check = partial(check_reference, settings=rewards)
            firsts: dict[tuple[str, str], Problem] = {}
            for problem in load_problems(source, self.base_folder, check):
                firsts.setdefault((problem.verifier, problem.family), problem)
            self._examples[key] = list(firsts.values())
        return self._examples[key]

    def once(self, key: str, check: Callable[[], object]) -> None:
        """Call check, which raises UserError, unless a check with the same key has passed."""
        if key not in self._passed:
            check()
            self._passed.add(key)
