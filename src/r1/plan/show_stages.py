"""The stages of a pipeline together, for people (rich) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from r1.plan.estimate import Estimate
from r1.plan.hardware import PRICE_PER_HOUR
from r1.plan.layouts import GB
from r1.plan.show import clock, hours
from r1.plan.show_layouts import seconds
from r1.plan.stages import Place, together


def summary(estimates: Sequence[Estimate], places: Mapping[str, Place]) -> Group:
    """What all stages take, the one that takes the most, and how many do not fit."""
    all_of_them = together(estimates, PRICE_PER_HOUR)
    facts = Table.grid(padding=(0, 2))
    text = f"{clock(all_of_them.hours)}, one stage after another"
    if all_of_them.dollars:
        text += (
            f"; {hours(all_of_them.gpu_hours)} GPU-hours busy, "
            f"{hours(all_of_them.held_gpu_hours)} held: about ${all_of_them.dollars:,.0f} at "
            f"${PRICE_PER_HOUR:.0f} an hour"
        )
    facts.add_row(Text("together", style="dim"), text)
    if (longest := all_of_them.longest) is not None:
        share = longest.hours / all_of_them.hours
        text = f"{longest.name}: {clock(longest.hours)}, {share:.0%}, mostly {_mostly(longest)}"
        facts.add_row(Text("longest stage", style="dim"), text)
    missing = sum(bool(place.reason) for place in places.values())
    fits = Text(f"all {len(places)} stages that compute")
    if missing:
        fits = Text(f"no: {missing} of {len(places)} stages do not (reasons above)", style="red")
    facts.add_row(Text("fits", style="dim"), fits)
    return Group(facts)


def _mostly(estimate: Estimate) -> str:
    if estimate.mostly_waits:
        return "waiting for the longest response"
    return max(estimate.parts, key=lambda part: part.gpu_hours).name


def place_table(places: Mapping[str, Place], estimates: Sequence[Estimate]) -> Table:
    """Where each stage runs and the memory that it takes there."""
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "layout", "on", "fits", "GB", "of", "step"):
        left = heading in ("stage", "layout", "on", "fits")
        table.add_column(heading, justify="left" if left else "right")
    machines = {e.name: e.machine for e in estimates}
    for stage, place in places.items():
        machine = machines[stage]
        assert machine is not None
        on = f"{machine.num_gpus} x {machine.hardware.name}"
        fits = Text("no", style="red") if place.reason else Text("yes")
        if place.needs and not place.reason:
            fits = Text(f"with {' and '.join(place.needs)}", style="yellow")
        layout = place.where + ("" if place.asked else " *")
        step = "" if place.step_s is None else seconds(place.step_s)
        size = f"{place.gpu_bytes / GB:,.1f}"
        table.add_row(stage, layout, on, fits, size, f"{machine.budget / GB:,.1f}", step)
    return table


def place_notes(places: Mapping[str, Place]) -> list[Text]:
    """Why stages do not fit, each reason once; what the marks mean."""
    notes = []
    reasons = dict.fromkeys(place.reason for place in places.values() if place.reason)
    for reason in reasons:
        stages = ", ".join(name for name, place in places.items() if place.reason == reason)
        notes.append(Text(f"does not fit: {stages}: {reason}", style="red"))
    needs = dict.fromkeys(n for p in places.values() if not p.reason for n in p.needs)
    if needs:
        notes.append(Text(f"the learner lacks {' and '.join(needs)}", style="yellow"))
    if not all(place.asked for place in places.values()):
        text = "* no [cluster] asks for it: the fastest layout on all GPUs that fits, or else one"
        notes.append(Text(text, style="dim"))
    return notes


def stages_json(estimates: Sequence[Estimate], places: Mapping[str, Place]) -> dict[str, Any]:
    """Sums, and where each stage runs; JSON-serialisable."""
    found = together(estimates, PRICE_PER_HOUR)
    return {
        "dollars": found.dollars,
        "longest": found.longest.name if found.longest else None,
        "fits": not any(place.reason for place in places.values()),
        "layouts": {name: place_json(place) for name, place in places.items()},
    }


def place_json(place: Place) -> dict[str, Any]:
    """JSON-serialisable."""
    return {**place._asdict(), "fits": not place.reason}
