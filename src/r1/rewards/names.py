"""The table of rewards by name, which settings read and `r1.rewards.registry` fills.

It stands below both: settings check names against it, and the registry's types need the settings.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

REWARDS: dict[str, Any] = {}
"""By name, the `RewardFactory` that makes the reward."""


def reward_names() -> list[str]:
    """Names `rewards.weights` may have."""
    import_built_in()
    return sorted(REWARDS)


@cache
def import_built_in() -> None:
    """Import every reward and verifier of the package; each registers itself."""
    package = importlib.import_module("r1.rewards")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name != "worker":
            inside = ".verifier" if module.ispkg else ""
            importlib.import_module(f"r1.rewards.{module.name}{inside}")
