"""Show estimates to people (rich tables) and programs (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from r1.plan.estimate import Estimate
from r1.plan.hardware import PRICE_PER_HOUR
from r1.plan.tables import clock, count, facts, hours, table

AMOUNTS = ("samples", "drawn", "learnt", "FLOPs", "GPUs", "busy", "held", "takes")
LEGEND = (
    "drawn, learnt: tokens; busy, held: GPU-hours of work, and with the waiting for the longest "
    "response"
)


def show(estimate: Estimate) -> Group:
    """Print one recipe: its samples, its training tokens, its GPU-hours."""
    rows = [
        (p.name, f"{p.samples:,}", count(p.tokens), f"{p.flops:.2e}", hours(p.gpu_hours))
        for p in estimate.parts
    ]
    work = table(("work", "sequences", "tokens", "FLOPs", "GPU-hours"), rows)
    return Group(facts(_facts(estimate)), *([work] if rows else []), *_notes([estimate]))


def show_pipeline(estimates: Sequence[Estimate]) -> Group:
    """Print all stages of a pipeline and their sum."""
    rows = [
        (e.name, e.model.name.rsplit("/", 1)[-1] if e.model else "", *_figures([e]))
        for e in estimates
    ]
    rows.append(("together", "", *_figures(estimates)))
    figures = table(("stage", "model", *AMOUNTS), rows, left=2, fold="model")
    return Group(figures, Text(LEGEND), *_notes(estimates))


def as_json(estimates: Estimate | Sequence[Estimate]) -> dict[str, Any]:
    """Return the same figures as JSON values."""
    stages = [estimates] if isinstance(estimates, Estimate) else list(estimates)
    sums = ("flops", "gpu_hours", "held_gpu_hours", "hours")
    return {
        "stages": [_stage(estimate) for estimate in stages],
        **{name: sum(getattr(e, name) for e in stages) for name in sums},
    }


def _stage(e: Estimate) -> dict[str, Any]:
    machine, names = e.machine, ("samples", "prompt_tokens", "response_tokens", "trained_tokens")
    sums = ("flops", "gpu_hours", "held_gpu_hours", "hours", "waits_for_longest")
    return {
        "name": e.name,
        "kind": e.kind,
        "model": e.model.name if e.model else None,
        "parameters": e.model.parameters if e.model else None,
        "active_parameters": e.model.active_parameters if e.model else None,
        "hardware": machine.hardware.name if machine else None,
        "num_gpus": machine.num_gpus if machine else None,
        "rates": machine.rates._asdict() if machine else None,
        **{name: getattr(e, name) for name in names},
        "parts": [part._asdict() for part in e.parts],
        **{name: getattr(e, name) for name in sums},
        "makes": e.makes._asdict() if e.makes else None,
        "assumptions": list(e.assumptions),
        "unknown": list(e.unknown),
    }


def _facts(e: Estimate) -> list[tuple[str, str]]:
    found = []
    if e.model:
        shape = e.model
        active = f", {count(shape.active_parameters)} active" if shape.experts else ""
        found.append(("model", f"{shape.name}: {count(shape.parameters)} parameters{active}"))
    if e.samples:
        found.append(("samples", f"{e.samples:,}"))
        drawn = f"{count(e.prompt_tokens)} of prompts, {count(e.response_tokens)} of responses"
        found.append(("tokens drawn", drawn))
    if e.trained_tokens:
        found.append(("tokens learnt from", count(e.trained_tokens)))
    if e.makes and e.makes.rows is not None:
        mean = f" of {e.makes.tokens:,.0f} tokens" if e.makes.tokens else ""
        found.append(("makes", f"{e.makes.rows:,} rows{mean}"))
    if e.machine:
        found.append(("on", f"{e.machine.num_gpus} x {e.machine.hardware.title}"))
        waits = ", mostly waiting for the longest response" if e.mostly_waits else ""
        found.append(("takes", f"{clock(e.hours)}{waits}"))
        if e.machine.hardware.name != "CPU":
            dollars = PRICE_PER_HOUR * e.held_gpu_hours
            found.append(("GPU-hours", bill(e.gpu_hours, e.held_gpu_hours, dollars)))
    return found


def bill(busy: float, held: float, dollars: float) -> str:
    """Return the GPU-hours and their price."""
    cost = f"about ${dollars:,.0f} at ${PRICE_PER_HOUR:.0f} an hour"
    return f"{hours(busy)} busy, {hours(held)} held: {cost}"


def _figures(estimates: Sequence[Estimate]) -> list[str]:
    gpus = [e.machine.num_gpus for e in estimates if e.machine] if len(estimates) == 1 else []
    return [
        count(sum(e.samples for e in estimates)),
        count(sum(e.prompt_tokens + e.response_tokens for e in estimates)),
        count(sum(e.trained_tokens for e in estimates)),
        f"{sum(e.flops for e in estimates):.1e}" if any(e.flops for e in estimates) else "",
        "/".join(map(str, gpus)),
        hours(sum(e.gpu_hours for e in estimates)),
        hours(sum(e.held_gpu_hours for e in estimates)),
        clock(sum(e.hours for e in estimates), short=True),
    ]


def _notes(estimates: Sequence[Estimate]) -> list[Text]:
    """Return rates and assumptions, each once; then what the figures leave out."""
    lines = []
    machines = dict.fromkeys(e.machine for e in estimates if e.machine)
    for hardware, rates in dict.fromkeys((m.hardware, m.rates) for m in machines):
        numbers = sorted({m.num_gpus for m in machines if m.hardware == hardware})
        lines.append(
            f"on {hardware.title} ({' or '.join(map(str, numbers))} of them): training at "
            f"{rates.training_share:.0%} of {hardware.peak_flops / 1e12:g} TFLOP/s, generation at "
            f"{rates.generation_share:.0%}; one response at {rates.response_speed:.3g} tokens/s"
        )
    lines += dict.fromkeys(note for e in estimates for note in e.assumptions)
    notes = [Text(f"assumed: {line}", style="dim") for line in lines]
    missing = [f"{e.name}: {note}" for e in estimates for note in e.unknown]
    return notes + [Text(f"not counted: {line}", style="yellow") for line in missing]
