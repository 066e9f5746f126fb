"""An estimate for people (rich tables) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from r1.plan.estimate import Estimate
from r1.plan.hardware import PRICE_PER_HOUR


def show(estimate: Estimate) -> Group:
    """One recipe: what it draws and learns from, and where its GPU-hours go."""
    facts = Table.grid(padding=(0, 2))
    for label, value in _facts(estimate):
        facts.add_row(Text(label, style="dim"), value)
    parts: list[Any] = [facts]
    if estimate.parts:
        table = Table(box=None, pad_edge=False)
        for heading in ("work", "sequences", "tokens", "FLOPs", "GPU-hours"):
            table.add_column(heading, justify="left" if heading == "work" else "right")
        for part in estimate.parts:
            table.add_row(
                part.name,
                f"{part.samples:,}",
                count(part.tokens),
                f"{part.flops:.2e}",
                hours(part.gpu_hours),
            )
        parts.append(table)
    return Group(*parts, *_notes([estimate]))


def show_pipeline(estimates: Sequence[Estimate]) -> Group:
    """All stages of a pipeline, and their sum."""
    table = Table(box=None, pad_edge=False)
    left = ("stage", "model")
    amounts = ("samples", "drawn", "learnt", "FLOPs", "GPUs", "busy", "held", "takes")
    for heading in (*left, *amounts):
        is_left = heading in left
        justify: Literal["left", "right"] = "left" if is_left else "right"
        table.add_column(heading, justify=justify, no_wrap=heading != "model")
    for e in estimates:
        model = e.model.name.rsplit("/", 1)[-1] if e.model else ""
        table.add_row(e.name, model, *_figures([e]))
    table.add_section()
    table.add_row("together", "", *_figures(estimates))
    legend = Text(
        "drawn, learnt: tokens; busy, held: GPU-hours of work, and with the waiting for the "
        "longest response"
    )
    return Group(table, legend, *_notes(estimates))


def as_json(estimates: Estimate | Sequence[Estimate]) -> dict[str, Any]:
    """The same figures, JSON-serialisable."""
    stages = [estimates] if isinstance(estimates, Estimate) else list(estimates)
    return {
        "stages": [_stage(estimate) for estimate in stages],
        "flops": sum(e.flops for e in stages),
        "gpu_hours": sum(e.gpu_hours for e in stages),
        "held_gpu_hours": sum(e.held_gpu_hours for e in stages),
        "hours": sum(e.hours for e in stages),
    }


def _stage(e: Estimate) -> dict[str, Any]:
    machine = e.machine
    return {
        "name": e.name,
        "kind": e.kind,
        "model": e.model.name if e.model else None,
        "parameters": e.model.parameters if e.model else None,
        "active_parameters": e.model.active_parameters if e.model else None,
        "hardware": machine.hardware.name if machine else None,
        "num_gpus": machine.num_gpus if machine else None,
        "rates": machine.rates._asdict() if machine else None,
        "samples": e.samples,
        "prompt_tokens": e.prompt_tokens,
        "response_tokens": e.response_tokens,
        "trained_tokens": e.trained_tokens,
        "parts": [part._asdict() for part in e.parts],
        "flops": e.flops,
        "gpu_hours": e.gpu_hours,
        "held_gpu_hours": e.held_gpu_hours,
        "hours": e.hours,
        "waits_for_longest": e.waits_for_longest,
        "makes": e.makes._asdict() if e.makes else None,
        "assumptions": list(e.assumptions),
        "unknown": list(e.unknown),
    }


def _facts(e: Estimate) -> list[tuple[str, str]]:
    facts = []
    if e.model:
        shape = e.model
        active = f", {count(shape.active_parameters)} active" if shape.experts else ""
        facts.append(("model", f"{shape.name}: {count(shape.parameters)} parameters{active}"))
    if e.samples:
        facts.append(("samples", f"{e.samples:,}"))
        drawn = f"{count(e.prompt_tokens)} of prompts, {count(e.response_tokens)} of responses"
        facts.append(("tokens drawn", drawn))
    if e.trained_tokens:
        facts.append(("tokens learnt from", count(e.trained_tokens)))
    if e.makes and e.makes.rows is not None:
        mean = f" of {e.makes.tokens:,.0f} tokens" if e.makes.tokens else ""
        facts.append(("makes", f"{e.makes.rows:,} rows{mean}"))
    if e.machine:
        facts.append(("on", f"{e.machine.num_gpus} x {e.machine.hardware.title}"))
        waits = ", mostly waiting for the longest response" if e.mostly_waits else ""
        facts.append(("takes", f"{clock(e.hours)}{waits}"))
        if e.machine.hardware.name != "CPU":
            cost = (
                f"about ${PRICE_PER_HOUR * e.held_gpu_hours:,.0f} at ${PRICE_PER_HOUR:.0f} an hour"
            )
            busy, held = hours(e.gpu_hours), hours(e.held_gpu_hours)
            facts.append(("GPU-hours", f"{busy} busy, {held} held: {cost}"))
    return facts


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
    """Rates and assumptions, each once; then what is missing from the figures."""
    lines = []
    machines = {e.machine for e in estimates if e.machine}
    for hardware, rates in dict.fromkeys((m.hardware, m.rates) for m in machines):
        numbers = sorted({m.num_gpus for m in machines if m.hardware == hardware})
        lines.append(
            f"on {hardware.title} ({' or '.join(map(str, numbers))} of them): training at "
            f"{rates.training_share:.0%} of {hardware.peak_flops / 1e12:g} TFLOP/s, generation at "
            f"{rates.generation_share:.0%}; one response at {rates.response_speed:g} tokens/s"
        )
    lines += dict.fromkeys(note for e in estimates for note in e.assumptions)
    notes = [Text(f"assumed: {line}", style="dim") for line in lines]
    missing = [f"{e.name}: {note}" for e in estimates for note in e.unknown]
    return notes + [Text(f"not counted: {line}", style="yellow") for line in missing]


def count(number: float) -> str:
    """1234567 -> "1.23M"; "" for 0."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}" if number else ""


def hours(number: float) -> str:
    """Hours of GPUs; "" for 0."""
    if not number:
        return ""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def clock(number: float, short: bool = False) -> str:
    """Hours as people say them; short: "" for 0, and units of a letter or three."""
    if short and not number:
        return ""
    for size, unit, letters in ((48, "days", "d"), (1, "hours", "h"), (1 / 60, "minutes", "min")):
        if number >= size:
            each = 24 if unit == "days" else size
            return f"{number / each:.1f} {letters if short else unit}"
    return f"{3600 * number:.0f} {'s' if short else 'seconds'}"
