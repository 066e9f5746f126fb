"""The lines of a recipe that ask for the fastest layout that fits.

Only what [cluster] can ask for: an engine over several GPUs has GPUs of its own, and the learner
has neither fused attention nor expert parallelism that it lacks. Engines are vLLM's, whose speed
the plan assumes. vLLM's share of a GPU is what the learner leaves where they share one.

Left out on purpose: staleness above 1 and partial rollouts (the simulated modes show what they
would give).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1.plan.layouts import Choice, Task
from r1.plan.memory import LONGEST_PROMPT
from r1.plan.own import Own, plan_own
from r1.plan.simulate import ONE_STEP_OFF, SYNCHRONOUS, Mode

IMPORTANCE_CAP = 2.0
WORTH = 0.98

Sections = dict[str, dict[str, Any]]


class Recommended(NamedTuple):
    """Settings by section, and the plan of the recipe with them in it."""

    sections: Sections
    own: Own


def recommend(task: Task, choices: Sequence[Choice], own: Own) -> Recommended | None:
    """The fastest of what [cluster] can ask for; None where there is none, or the recipe's own is
    within 2 % of it, and on CPUs, whose cores all processes share."""
    if task.device == "cpu":
        return None
    usable = [c for c in choices if not c.reason and not c.needs and _placeable(c)]
    found = []
    for shared, mode in ((True, SYNCHRONOUS), (False, SYNCHRONOUS), (False, ONE_STEP_OFF)):
        alike = (c for c in usable if c.layout.shared is shared)
        planned = (_planned(task, choice, mode) for choice in alike)
        found += [next((p for p in planned if p.own.outcome is not None), None)]
    fastest = min((p for p in found if p is not None), key=_step_s, default=None)
    if fastest is None or own.outcome is None:
        return fastest
    return fastest if _step_s(fastest) < WORTH * own.outcome.step_s else None


def _step_s(found: Recommended) -> float:
    return found.own.outcome.step_s if found.own.outcome is not None else math.inf


def _placeable(choice: Choice) -> bool:
    return not (choice.layout.shared and choice.layout.tensor_parallel > 1)


def _planned(task: Task, choice: Choice, mode: Mode) -> Recommended:
    sections = sections_of(task, choice, mode)
    return Recommended(sections, plan_own(task._replace(recipe=applied(task.recipe, sections))))


def applied(recipe: Any, sections: Sections) -> Any:
    """The recipe with the settings in it."""
    values = recipe.model_dump(mode="json", exclude_unset=True)
    for name, settings in sections.items():
        place = values
        for part in name.split("."):
            place[part] = place.get(part) or {}
            place = place[part]
        place.update(settings)
    return type(recipe).model_validate(values)


def sections_of(task: Task, choice: Choice, mode: Mode) -> Sections:
    """What asks for a layout, driven in a mode."""
    layout, vllm = choice.layout, task.recipe.engine.vllm
    longest = task.recipe.sampling.max_new_tokens + LONGEST_PROMPT
    sections: Sections = {
        "cluster": {
            "learner_ranks": layout.ranks,
            "engine_replicas": layout.replicas,
            "placement": "shared" if layout.shared else "separate",
        },
        "engine": {"kind": "vllm"},
        "engine.vllm": {
            "tensor_parallel_size": layout.tensor_parallel,
            "gpu_memory_utilization": gpu_share(task, choice),
            "max_model_len": min(vllm.max_model_len or longest, task.shape.context),
            **({"sleep": True} if layout.shared else {}),
        },
    }
    if grpo := _grpo(task.recipe.grpo, mode):
        sections["grpo"] = grpo
    return sections


def _grpo(said: Any, mode: Mode) -> dict[str, Any]:
    """What asks for a mode of whole batches, where a recipe says something else."""
    asked: dict[str, Any] = {}
    if mode.ahead or said.staleness:
        asked["staleness"] = mode.ahead
    if mode.ahead:
        asked["importance_cap"] = said.importance_cap or IMPORTANCE_CAP
    if said.partial_rollouts:
        asked["partial_rollouts"] = False
    return asked


def gpu_share(task: Task, choice: Choice) -> float:
    """What vLLM may take of a GPU: what can be used, less what a learner that shares it keeps."""
    kept = 0.0
    if choice.layout.shared:
        kept = choice.memory.of("resident") + _gradients(choice)
    return math.floor(100 * (task.budget - kept) / task.machine.hardware.memory_bytes) / 100


def _gradients(choice: Choice) -> float:
    items = choice.memory.items
    return sum(i.bytes for i in items if (i.part, i.phase) == ("gradients", "step"))


def toml_lines(sections: Sections, file: Mapping[str, Any]) -> list[str]:
    """The sections as TOML, less what the recipe's file says already.

    file: the values that it holds. A second heading of one name would be an error, hence the remark
    where it has the section.
    """
    lines: list[str] = []
    for name, settings in sections.items():
        said = _section(file, name)
        left = {key: v for key, v in settings.items() if (said or {}).get(key) != v}
        remark = "      # the recipe has this section: put it there"
        if left:
            lines.append(f"[{name}]{remark if said is not None else ''}")
        for key, value in left.items():
            lines.append(
                f"{key} = {_toml(value)}" + ("  # in its place" if key in (said or {}) else "")
            )
    return lines


def _section(file: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A table of the file by its dotted name, None where it has none."""
    found: Any = file
    for part in name.split("."):
        found = found.get(part)
        if not isinstance(found, Mapping):
            return None
    return found


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
