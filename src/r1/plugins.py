"""Import the user's modules, which register rewards, verifiers, algorithms or stages."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from r1.errors import UserError


def import_plugins(modules: Iterable[str], setting: str = "rewards.plugins") -> None:
    """Import each module. Raises UserError with the setting and the missing module."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise UserError(
                f"{setting}: cannot import {module!r} ({error}); install it or put its folder on "
                "PYTHONPATH."
            ) from None
