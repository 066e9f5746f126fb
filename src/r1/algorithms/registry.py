"""Algorithms by the name of their section in a recipe.

    register_algorithm("grpo", GRPOSettings, GRPO)        at the end of the algorithm's file

The files of this package are found by themselves. One of a user's own is a module named in the
recipe's `plugins`; it registers itself in the same way when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from r1.algorithms.protocol import Algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.errors import UserError
from r1.plugins import import_modules_of, note_registration

DEFAULT = "grpo"
"""The algorithm of a recipe that names none: the paper's."""


class Registered(NamedTuple):
    """settings: the schema of its section. make: the algorithm with its settings."""

    settings: type[AlgorithmSettings]
    make: Callable[[Any], Algorithm]


_ALGORITHMS: dict[str, Registered] = {}


def register_algorithm(
    name: str, settings: type[AlgorithmSettings], make: Callable[[Any], Algorithm]
) -> None:
    """Let recipes have a section `[name]`. Raises UserError for a name that is taken."""
    if name in _ALGORITHMS:
        raise UserError(f"the algorithm {name!r} is registered twice; give yours another name.")
    if not issubclass(settings, AlgorithmSettings):
        raise UserError(f"the settings of the algorithm {name!r} must derive AlgorithmSettings.")
    _ALGORITHMS[name] = Registered(settings, make)
    note_registration(name)


def algorithms() -> Mapping[str, Registered]:
    """All algorithms by name, in alphabetical order."""
    import_modules_of("r1.algorithms")
    return dict(sorted(_ALGORITHMS.items()))


def make_algorithm(name: str, settings: AlgorithmSettings) -> Algorithm:
    """The algorithm of a recipe's section."""
    return algorithms()[name].make(settings)
