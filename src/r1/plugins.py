"""Modules of a user's own, which register rewards, verifiers or algorithms when imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from r1.errors import UserError


def import_plugins(modules: Iterable[str], setting: str = "rewards.plugins") -> None:
    """Import each; UserError names the setting and the module that cannot be found."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{setting}: cannot import {module!r} ({error}); install it or put its folder on "
                "PYTHONPATH."
            ) from None
