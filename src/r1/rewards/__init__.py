"""Rewards: one per file, each a function (problem, completion) -> Score; pool.py runs them.

As a library, without torch: `from r1.rewards import math_reward, format_reward, choice_reward,
exact_reward, code_reward, language_reward, trl_reward` (see library.py and adapters.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1.rewards.adapters import trl_reward as trl_reward
    from r1.rewards.library import answer_reward as answer_reward
    from r1.rewards.library import choice_reward as choice_reward
    from r1.rewards.library import code_reward as code_reward
    from r1.rewards.library import exact_reward as exact_reward
    from r1.rewards.library import format_reward as format_reward
    from r1.rewards.library import language_reward as language_reward
    from r1.rewards.library import math_reward as math_reward

_HOMES = {
    "answer_reward": "library",
    "choice_reward": "library",
    "code_reward": "library",
    "exact_reward": "library",
    "format_reward": "library",
    "language_reward": "library",
    "math_reward": "library",
    "trl_reward": "adapters",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a reward function on first use, so that workers and recipes load none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"r1.rewards.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
