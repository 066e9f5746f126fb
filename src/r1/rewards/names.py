"""The table of rewards by name, which settings read and `r1.rewards.registry` fills.

It stands below both: settings check names against it, and the registry's types need the settings.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any

from r1.errors import UserError
from r1.plugins import import_plugins

REWARDS: dict[str, Any] = {}
"""By name, the `RewardFactory` that makes the reward, or a function that
`r1.rewards.batch_reward.as_factory` makes one of."""


_OF_FILES: set[str] = set()
"""Names of the rewards that are functions of files: the last file named has them."""


def import_rewards(plugins: Iterable[str]) -> None:
    """Import the modules and files of `rewards.plugins`; a function that one names is a reward.

    Raises UserError for what is not there, and for a function called as another reward is.
    """
    import_built_in()
    for name, function in import_plugins(plugins).items():
        if name in REWARDS and name not in _OF_FILES:
            raise UserError(
                f"rewards.plugins: r1 has a reward {name!r}; give your function another name."
            )
        _OF_FILES.add(name)
        REWARDS[name] = function


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
