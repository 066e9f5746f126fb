"""Recommend settings for the fastest layout that fits.

Engines are vLLM's, whose speed the plan assumes. vLLM's share of a GPU is what the learner leaves
where they share one. On separate GPUs one batch is sampled ahead.

Where no layout fits the recipe as it is, SAVINGS are added one by one until one does.

Left out on purpose: staleness above 1, and partial rollouts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1.config import apply_overrides
from r1.plan.layouts import LayoutTask, TriedLayout, plan_layouts, vllm_share
from r1.plan.memory import LONGEST_PROMPT
from r1.plan.own import Own, plan_own

IMPORTANCE_CAP = 2.0
WORTH = 0.98

SAVINGS: tuple[Mapping[str, Any], ...] = (
    {"learner.gradient_checkpointing": True},
    {"learner.tokens_per_microbatch": 8192},
    {"learner.gradient_checkpointing": "offload"},
    {"learner.tokens_per_microbatch": 4096},
    {"learner.autocast": True},
    {"learner.lora.rank": 32},
)
"""Settings that take less memory: first those that move no number but by rounding, at last adapters
in place of all weights."""


class Recommended(NamedTuple):
    """Settings by dotted name, and the plan of the recipe with them. saves: some of them take less
    memory, and are needed for that."""

    settings: dict[str, Any]
    recipe: Any
    own: Own
    saves: bool = False


def recommend(task: LayoutTask, choices: Sequence[TriedLayout], own: Own) -> Recommended | None:
    """Return the fastest layout that [cluster] can ask for; None without one, if the recipe's own
    is within 2 % of it, and on CPUs, whose cores all processes share.

    choices: the fastest first.
    """
    if task.device == "cpu":
        return None
    for choice in choices:
        if choice.reason:
            continue
        settings = settings_of(task, choice)
        recipe = applied(task.recipe, settings)
        planned = plan_own(task._replace(recipe=recipe))
        if planned.choice.reason:
            continue
        slow = not own.choice.reason and planned.choice.step_s >= WORTH * own.choice.step_s
        return None if slow else Recommended(settings, recipe, planned)
    return None


def recommend_saving(task: LayoutTask) -> Recommended | None:
    """Return the fastest layout of the recipe with as few of SAVINGS as let one fit; None where
    none does, and on CPUs."""
    saved: dict[str, Any] = {}
    for saving in SAVINGS:
        if not _is_less(task.recipe, saving):
            continue
        saved |= saving
        tried = task._replace(recipe=applied(task.recipe, saved))
        found = recommend(tried, plan_layouts(tried), plan_own(tried))
        if found is not None:
            return found._replace(settings=saved | found.settings, saves=True)
    return None


def _is_less(recipe: Any, saving: Mapping[str, Any]) -> bool:
    """Whether the recipe does not have a saving, or a stronger one, already."""
    ((name, value),) = saving.items()
    learner = recipe.learner
    if name == "learner.lora.rank":
        return learner.lora is None
    held = getattr(learner, name.removeprefix("learner."))
    if isinstance(value, str):
        return bool(held != value)
    return held > value if not isinstance(value, bool) else not held


def settings_of(task: LayoutTask, choice: TriedLayout) -> dict[str, Any]:
    """Return the settings that ask for a layout."""
    layout, recipe, algorithm = choice.layout, task.recipe, task.recipe.algorithm
    longest = recipe.sampling.max_new_tokens + LONGEST_PROMPT
    given = recipe.engine.vllm.max_model_len
    settings = {
        "cluster.learner_ranks": layout.ranks,
        "cluster.engine_replicas": layout.replicas,
        "cluster.placement": "shared" if layout.shared else "separate",
        "engine.kind": "vllm",
        "engine.vllm.tensor_parallel_size": layout.tensor_parallel,
        "engine.vllm.gpu_memory_utilization": vllm_share(task, layout, choice.memory),
        "engine.vllm.max_model_len": min(given or longest, task.shape.context),
    }
    if layout.shared:
        settings["engine.vllm.sleep"] = True
    if choice.ahead or algorithm.staleness:
        settings[f"{recipe.algorithm_name}.staleness"] = int(choice.ahead)
    if choice.ahead:
        settings[f"{recipe.algorithm_name}.importance_cap"] = (
            algorithm.importance_cap or IMPORTANCE_CAP
        )
    if algorithm.partial_rollouts:
        settings[f"{recipe.algorithm_name}.partial_rollouts"] = False
    return settings


def applied(recipe: Any, settings: Mapping[str, Any]) -> Any:
    """Return the recipe with the settings."""
    values = recipe.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return type(recipe).model_validate(apply_overrides(values, overrides(settings)))


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings as `--set` takes them."""
    return [
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in settings.items()
    ]
