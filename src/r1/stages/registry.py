"""The stage kinds by name.

A kind is a file in this package that registers itself when imported, or a module of the user's own
that a recipe names in `plugins`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from r1 import plugins
from r1.errors import UserError
from r1.stages.protocol import StageKind

_KINDS: dict[str, StageKind] = {}
_PLUGINS: dict[str, str] = {}
"""The module that registered a kind of the user's own, by the kind's name."""


def register(kind: StageKind) -> None:
    """Register a kind by its name. Raises UserError for a name that is taken."""
    if kind.name in _KINDS:
        raise UserError(
            f"the stage kind {kind.name!r} is registered twice; give that of your plugin another "
            "name."
        )
    _KINDS[kind.name] = kind
    plugins.note_registration(kind.name)


def kinds() -> Mapping[str, StageKind]:
    """Return every registered kind by name, those that train first."""
    plugins.import_modules_of("r1.stages")
    ordered = sorted(
        _KINDS.values(), key=lambda kind: (kind.train is None, not kind.assumed, kind.name)
    )
    return {kind.name: kind for kind in ordered}


def get(name: str) -> StageKind:
    """Return the kind of this name, which must be registered."""
    plugins.import_modules_of("r1.stages")
    return _KINDS[name]


def assumed() -> StageKind:
    """Return the kind of a recipe that names none."""
    return next(kind for kind in kinds().values() if kind.assumed)


def other_names() -> dict[str, str]:
    """Return common other names of the kinds, mapped to their names."""
    return {other: kind.name for kind in kinds().values() for other in kind.other_names}


def plugin_of(name: str) -> str | None:
    """Return the plugin module that registered a kind; None for a kind of this package."""
    return _PLUGINS.get(name)


def import_plugins(modules: Iterable[str]) -> None:
    """Import plugin modules that register stage kinds. Raises UserError for a missing one."""
    for module in modules:
        before = set(kinds())
        plugins.import_plugins([module], "plugins")
        _PLUGINS.update(dict.fromkeys(set(_KINDS) - before, module))
