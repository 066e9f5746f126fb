"""Show where a pipeline's stages run and their total, to people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from r1.plan.estimate import Estimate
from r1.plan.hardware import GB, PRICE_PER_HOUR
from r1.plan.show import bill
from r1.plan.stages import Place
from r1.plan.tables import clock, facts, seconds, table


def place_table(places: Mapping[str, Place], estimates: Sequence[Estimate]) -> Table:
    """Return where each stage runs and the memory that it takes there."""
    machines = {e.name: e.machine for e in estimates if e.machine is not None}
    rows = []
    for stage, place in places.items():
        machine = machines[stage]
        fits = Text("no", style="red") if place.reason else Text("yes")
        layout = place.where + ("" if place.asked else " *")
        step = "" if place.step_s is None else seconds(place.step_s)
        memory = (f"{place.gpu_bytes / GB:,.1f}", f"{machine.budget / GB:,.1f}")
        on = f"{machine.num_gpus} x {machine.hardware.name}"
        rows.append((stage, layout, on, fits, *memory, step))
    return table(("stage", "layout", "on", "fits", "GB", "of", "step"), rows, left=4)


def place_notes(places: Mapping[str, Place]) -> list[Text]:
    """Return why stages do not fit, each reason once, and the meaning of the marks."""
    notes = []
    for reason in dict.fromkeys(place.reason for place in places.values() if place.reason):
        stages = ", ".join(name for name, place in places.items() if place.reason == reason)
        notes.append(Text(f"does not fit: {stages}: {reason}", style="red"))
    if not all(place.asked for place in places.values()):
        text = "* no [cluster] asks for it: the fastest layout on all GPUs that fits, or else one"
        notes.append(Text(text, style="dim"))
    return notes


def summary(estimates: Sequence[Estimate], places: Mapping[str, Place]) -> Table:
    """Return the total of all stages, the longest one, and how many do not fit."""
    total, dollars = sum(e.hours for e in estimates), _dollars(estimates)
    found: list[tuple[str, str | Text]] = [("together", f"{clock(total)}, one stage after another")]
    if dollars:
        busy, held = sum(e.gpu_hours for e in estimates), sum(e.held_gpu_hours for e in estimates)
        found.append(("GPU-hours", bill(busy, held, dollars)))
    if (longest := _longest(estimates)) is not None:
        most = "waiting for the longest response"
        if not longest.mostly_waits:
            most = max(longest.parts, key=lambda part: part.gpu_hours).name
        text = f"{longest.name}: {clock(longest.hours)}, {longest.hours / total:.0%}, mostly {most}"
        found.append(("longest stage", text))
    if not places:
        return facts(found)
    missing = sum(bool(place.reason) for place in places.values())
    fits = Text(f"all {len(places)} stages that compute")
    if missing:
        fits = Text(f"no: {missing} of {len(places)} stages do not (reasons above)", style="red")
    return facts([*found, ("fits", fits)])


def stages_json(estimates: Sequence[Estimate], places: Mapping[str, Place]) -> dict[str, Any]:
    """Return totals and each stage's place as JSON values."""
    longest = _longest(estimates)
    return {
        "dollars": _dollars(estimates),
        "longest": longest.name if longest else None,
        "fits": not any(place.reason for place in places.values()),
        "layouts": {name: place_json(place) for name, place in places.items()},
    }


def place_json(place: Place) -> dict[str, Any]:
    """Return a place as JSON values."""
    return {**place._asdict(), "fits": not place.reason}


def _longest(estimates: Sequence[Estimate]) -> Estimate | None:
    """Return the longest stage; None if no stage takes time."""
    return max((e for e in estimates if e.hours), key=lambda e: e.hours, default=None)


def _dollars(estimates: Sequence[Estimate]) -> float:
    """Return the price of the stages on GPUs."""
    on_gpus = (e for e in estimates if e.machine is not None and e.machine.device != "cpu")
    return PRICE_PER_HOUR * sum(e.held_gpu_hours for e in on_gpus)
