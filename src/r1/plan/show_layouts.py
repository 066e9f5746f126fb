"""Show layouts, their memory and their steps to people (rich) and programs (JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from r1.plan.hardware import GB
from r1.plan.layouts import LayoutTask, TriedLayout
from r1.plan.memory import Memory
from r1.plan.own import Own, all_processes, own_mode, processes_text
from r1.plan.recommend import Recommended, overrides
from r1.plan.tables import facts, gigabytes, seconds, table

SHOWN = 5


def memory_table(memories: Mapping[str, Memory], on_cpu: bool = False) -> Table:
    """Return the parts at the peak, one column per learner."""
    what = "memory of a process, GB" if on_cpu else "memory of one GPU, GB"
    columns = [memory.at_peak() for memory in memories.values()]
    parts = dict.fromkeys(part for column in columns for part in column)
    rows = [(part, *(gigabytes(c.get(part, 0.0)) for c in columns)) for part in parts]
    peaks = (f"{gigabytes(m.peak)} ({m.worst})" for m in memories.values())
    rows.append(("peak (and when)", *peaks))
    hosts = [gigabytes(memory.of("host")) for memory in memories.values()]
    if any(hosts):
        rows.append(("beside it in the host's memory", *hosts))
    return table((what, *memories), rows)


def layout_table(choices: Sequence[TriedLayout]) -> Table:
    """Return the fastest layouts that fit."""
    rows = [
        (
            choice.layout.describe(),
            gigabytes(choice.memory.peak),
            gigabytes(choice.engine_bytes),
            str(choice.slots),
            *map(seconds, (choice.draw_s, choice.update_s, choice.sync_s, choice.step_s)),
        )
        for choice in [c for c in choices if not c.reason][:SHOWN]
    ]
    names = ("layout", "GB learner", "GB engine", "rows", "drawing", "update", "send", "step")
    return table(names, rows)


def layout_notes(choices: Sequence[TriedLayout]) -> list[Text]:
    """Return, for each kind of reason, the best layout that does not fit."""
    notes = []
    fitting = [c for c in choices if not c.reason]
    if any(choice.ahead for choice in fitting):
        text = "a step on separate GPUs samples one batch ahead (staleness = 1)"
        notes.append(Text(text, style="dim"))
    if not fitting:
        notes.append(Text("no layout fits", style="red"))
    nearest: dict[str, TriedLayout] = {}
    for choice in choices:
        if choice.reason:
            key = choice.reason.split(" needs ")[0].split(" cannot ")[0]
            near = nearest.setdefault(key, choice)
            if choice.memory.peak < near.memory.peak:
                nearest[key] = choice
    for choice in nearest.values():
        line = f"does not fit: {choice.layout.describe()}: {choice.reason}"
        notes.append(Text(line, style="dim"))
    return notes


def own_memories(own: Own) -> dict[str, Memory]:
    """Return the columns of the recipe's own layout for `memory_table`."""
    if own.choice.layout.shared:
        return {"the recipe's GPU": own.choice.memory}
    return {"the recipe's learner": own.choice.memory, "its engine": own.engine}


def own_table(task: LayoutTask, own: Own) -> Table:
    """Return the recipe's own layout, whether it fits, and the time of a step."""
    choice, machine, recipe = own.choice, task.machine, task.recipe
    asked = "one process (no [cluster])" if recipe.cluster is None else choice.layout.describe()
    found: list[tuple[str, str | Text]] = [
        ("the recipe asks for", f"{asked}, {own_mode(recipe.algorithm)}"),
        ("on", f"{machine.num_gpus} x {machine.hardware.title}"),
    ]
    if choice.reason:
        return facts([*found, ("fits", Text(f"no: {choice.reason}", style="red"))])
    if task.device == "cpu":
        used = f"{all_processes(own) / GB:,.1f} GB ({processes_text(own)})"
    elif choice.layout.shared:
        used = f"{choice.memory.peak / GB:,.1f} GB ({choice.memory.worst}), engine included,"
    else:
        used = f"learner {choice.memory.peak / GB:,.1f} GB ({choice.memory.worst})"
        used += f" and engine {own.engine.peak / GB:,.1f} GB"
    parts = f"drawing {seconds(choice.draw_s)}, update {seconds(choice.update_s)}"
    parts += f", send {seconds(choice.sync_s)}"
    found += [
        ("fits", f"yes: {used} of {task.budget / GB:,.1f}"),
        ("rows of an engine", f"{choice.slots}"),
        ("a step", f"{seconds(choice.step_s)}: {parts}"),
    ]
    return facts(found)


def recommendation(own: Own, found: Recommended | None) -> list[Text]:
    """Return the options to add for the fastest layout, or that there are none."""
    if found is None and own.choice.reason:
        return [
            Text(
                "no layout that [cluster] can ask for fits, with adapters and small micro-batches "
                "neither: see what forbids them above, and give --gpus more"
            )
        ]
    if found is None:
        return [Text("nothing that [cluster] can ask for is faster than the recipe's own layout")]
    choice, saved = found.own.choice, ""
    if not own.choice.reason:
        saved = f", {1 - choice.step_s / own.choice.step_s:.0%} less than the recipe's own"
    layout = f"{choice.layout.describe()}, {own_mode(found.recipe.algorithm)}"
    lines = []
    if found.saves:
        lora = any("lora" in name for name in found.settings)
        how = "adapters in place of all weights" if lora else "settings that take less memory"
        lines.append(f"with {how} a layout fits")
    lines += [f"fastest: {layout}: {seconds(choice.step_s)} a step{saved}, with"]
    lines += [f"    --set {setting} \\" for setting in overrides(found.settings)]
    return [Text(line) for line in (*lines[:-1], lines[-1].removesuffix(" \\"))]


def choice_json(choice: TriedLayout) -> dict[str, Any]:
    """Return one layout as JSON values; without times if it does not fit."""
    return {
        **choice.layout._asdict(),
        "num_gpus": choice.layout.num_gpus,
        "fits": not choice.reason,
        "reason": choice.reason,
        "learner_bytes": choice.memory.peak,
        "engine_bytes": choice.engine_bytes,
        "slots": choice.slots,
        "draw_s": choice.draw_s,
        "update_s": choice.update_s,
        "sync_s": choice.sync_s,
        "step_s": choice.step_s,
    }


def memory_json(memory: Memory) -> dict[str, Any]:
    """Return the parts at the peak."""
    return {
        "peak_bytes": memory.peak,
        "moment": memory.worst,
        "at_peak": memory.at_peak(),
        "host_bytes": memory.of("host"),
    }


def own_json(own: Own) -> dict[str, Any]:
    """Return the recipe's layout and its GPUs' memory; step_s is None if it does not fit."""
    return choice_json(own.choice) | {
        "step_s": own.choice.step_s or None,
        "learner_memory": memory_json(own.choice.memory),
        "engine_memory": memory_json(own.engine),
    }
