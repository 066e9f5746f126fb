"""The recipe's own layout and the recommended one, for people (rich) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from r1.plan.layouts import GB, Task
from r1.plan.memory import Memory
from r1.plan.own import Own, all_processes, processes_text
from r1.plan.recommend import Recommended, toml_lines
from r1.plan.show_layouts import memory_json, seconds


def own_memories(own: Own) -> list[tuple[str, Memory]]:
    """Columns for `memory_table`."""
    if own.choice.layout.shared:
        return [("the recipe's GPU", own.choice.memory)]
    return [("the recipe's learner", own.choice.memory), ("its engine", own.engine)]


def own_table(task: Task, own: Own) -> Table:
    """What the recipe asks for, whether that fits, and what a step would take."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="left", style="dim", no_wrap=True)
    table.add_column(justify="left")
    choice, machine = own.choice, task.machine
    alone = task.recipe.cluster is None
    asked = "one process (no [cluster])" if alone else choice.layout.describe()
    table.add_row("the recipe asks for", Text(f"{asked}, {own.mode.name}"))
    table.add_row("on", f"{machine.num_gpus} x {machine.hardware.title}")
    if own.outcome is None:
        table.add_row("fits", Text(f"no: {choice.reason}", style="red"))
        return table
    if task.device == "cpu":
        parts = [f"{all_processes(own) / GB:,.1f} GB ({processes_text(own)})"]
    else:
        parts = _gpu_parts(own)
    table.add_row("fits", f"yes: {' and '.join(parts)} of {task.budget / GB:,.1f}")
    table.add_row("rows of an engine", f"{choice.slots}")
    o = own.outcome
    table.add_row(
        "a step",
        f"{seconds(o.step_s)}: engines {o.generator_busy:.0%} busy, learner {o.learner_busy:.0%}, "
        f"{o.tokens_per_s:,.0f} tokens/s",
    )
    return table


def _gpu_parts(own: Own) -> list[str]:
    choice = own.choice
    parts = [f"learner {choice.memory.peak / GB:,.1f} GB ({choice.memory.worst})"]
    if choice.layout.shared:
        return [f"{choice.memory.peak / GB:,.1f} GB ({choice.memory.worst}), engine included,"]
    return [*parts, f"engine {own.engine.peak / GB:,.1f} GB"]


def recommendation(
    task: Task, own: Own, found: Recommended | None, file: Mapping[str, Any]
) -> list[Text]:
    """The lines to paste, or that there are none. file: what the recipe's file holds."""
    if found is None:
        if own.outcome is None:
            return [Text("no layout that [cluster] can ask for fits: see what forbids them above")]
        return [Text("nothing that [cluster] can ask for is faster than the recipe's own layout")]
    outcome = found.own.outcome
    assert outcome is not None
    saved = ""
    if own.outcome is not None:
        saved = f", {1 - outcome.step_s / own.outcome.step_s:.0%} less than the recipe's own"
    layout = found.own.choice.layout.describe()
    head = f"fastest: {layout}, {found.own.mode.name}: {seconds(outcome.step_s)} a step{saved}"
    return [Text(head), *(Text(line, style="bold") for line in toml_lines(found.sections, file))]


def own_json(own: Own) -> dict[str, Any]:
    """JSON-serialisable; step_s is None where it does not fit."""
    return {
        **own.choice.layout._asdict(),
        "mode": own.mode.name,
        "fits": not own.choice.reason,
        "reason": own.choice.reason,
        "learner_memory": memory_json(own.choice.memory),
        "engine_memory": memory_json(own.engine),
        "slots": own.choice.slots,
        "step_s": own.outcome.step_s if own.outcome else None,
    }


def recommended_json(found: Recommended | None) -> dict[str, Any] | None:
    """Settings by section, and what the recipe with them would do."""
    return None if found is None else {"settings": found.sections, **own_json(found.own)}
