"""Leave code problems out, with a warning, on a machine that cannot isolate programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r1.pipeline.r1 import R1Recipe
from r1.sandbox import SandboxSettings
from r1.sandbox.probe import isolation_problem

FAMILY = "functions"


def leave_functions_out(recipe: R1Recipe) -> tuple[R1Recipe, list[str]]:
    """Return the recipe without code problems, and a message for the user.

    With without_sandbox = "leave_out" and no sandbox on this machine the tiny world's functions
    are taken out of every `families` list; otherwise the recipe is returned as it is, and a stage
    that needs the sandbox refuses.
    """
    if recipe.without_sandbox == "refuse":
        return recipe, []
    problem = isolation_problem(SandboxSettings())
    if problem is None:
        return recipe, []
    stages = {name: _without(table) for name, table in recipe.stages.items()}
    notice = f"Code problems are left out, because programs cannot be isolated here: {problem}"
    return recipe.model_copy(update={"stages": stages}), [notice]


def _without(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {
            # a table of rewards for the family goes with its problems
            key: [name for name in value if name != FAMILY]
            if key == "families" and isinstance(value, list)
            else _without(value)
            for key, value in values.items()
            if key != FAMILY
        }
    if isinstance(values, list):
        kept = [item for item in values if not _only_functions(item)]
        return [_without(item) for item in kept]
    return values


def _only_functions(item: Any) -> bool:
    return isinstance(item, Mapping) and item.get("families") == [FAMILY]
