"""Import the user's modules, which register rewards, verifiers, algorithms or stages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

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


@cache
def import_modules_of(package: str) -> None:
    """Import every module that stands in a package itself, once; each registers what it has."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not found.ispkg:
            importlib.import_module(f"{package}.{found.name}")
