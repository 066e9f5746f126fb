"""Memory, layouts and simulated steps for people (rich) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from r1.plan.layouts import GB, Choice
from r1.plan.memory import Memory
from r1.plan.simulate import Outcome
from r1.plan.timings import Comparison

SHOWN = 5
WORTH = 0.99


class Simulated(NamedTuple):
    """A layout, played in full in the modes that it allows; synchronous first."""

    choice: Choice
    outcomes: tuple[Outcome, ...]


def memory_table(memories: Sequence[tuple[str, Memory]]) -> Table:
    """Parts at the worst moment, one column for each learner."""
    table = _table("memory of one GPU, GB", *(name for name, _ in memories))
    columns = [memory.at_peak() for _, memory in memories]
    parts = dict.fromkeys(part for column in columns for part in column)
    for part in parts:
        table.add_row(part, *(_gb(column.get(part, 0.0)) for column in columns))
    table.add_section()
    peaks = (f"{_gb(m.peak)} ({m.worst})" for _, m in memories)
    table.add_row("peak (and when)", *peaks)
    return table


def layout_table(choices: Sequence[Choice]) -> Table:
    """The fastest layouts that fit."""
    table = _table("layout", "GB learner", "GB engine", "rows", "drawing", "update", "send", "step")
    for choice in [c for c in choices if not c.reason][:SHOWN]:
        parts = (choice.draw_s, choice.update_s, choice.sync_s, choice.step_s)
        table.add_row(
            choice.layout.describe(),
            _gb(choice.memory.peak),
            _gb(choice.engine_bytes),
            str(choice.slots),
            *(seconds(value) for value in parts),
        )
    return table


def layout_notes(choices: Sequence[Choice]) -> list[Text]:
    """What the fitting layouts need, and why the others do not fit: for each kind of reason the
    layout that comes nearest."""
    notes = []
    fitting = [c for c in choices if not c.reason]
    if fitting and fitting[0].needs:
        needs = " and ".join(fitting[0].needs)
        notes.append(Text(f"the learner lacks what these layouts need: {needs}", style="yellow"))
    if not fitting:
        notes.append(Text("no layout fits", style="red"))
    nearest: dict[tuple[Any, ...], Choice] = {}
    for choice in choices:
        if choice.reason:
            key = (choice.needs, choice.reason.split(" needs ")[0].split(" cannot ")[0])
            held = nearest.get(key)
            if held is None or choice.memory.peak < held.memory.peak:
                nearest[key] = choice
    for choice in nearest.values():
        also = f" with {' and '.join(choice.needs)}" if choice.needs else ""
        line = f"does not fit{also}: {choice.layout.describe()}: {choice.reason}"
        notes.append(Text(line, style="dim"))
    return notes


def simulation_table(simulated: Sequence[Simulated]) -> Table:
    """Modes of the layouts that were played; shares of time of engines, rows and learner."""
    headings = ("step", "engines", "rows", "learner", "tokens/s", "stale")
    table = _table("simulated", "layout", *headings, left=2)
    for choice, outcomes in simulated:
        for o in outcomes:
            table.add_row(
                o.mode.name,
                choice.layout.describe(),
                seconds(o.step_s),
                f"{o.generator_busy:.0%}",
                f"{o.rows_share:.0%}",
                f"{o.learner_busy:.0%}",
                f"{o.tokens_per_s:,.0f}",
                f"{o.staleness:.1f} <= {o.staleness_max}",
            )
    return table


def gain(simulated: Sequence[Simulated]) -> Text:
    """What asynchrony would give: the fastest mode that r1 has against the fastest synchronous one,
    and what batches of the groups that end first would give besides."""
    every = [(o, c) for c, outcomes in simulated for o in outcomes]
    plain = min(o.step_s for o, _ in every if o.mode.ahead == 0)
    best, choice = min((e for e in every if e[0].mode.batch == "own"), key=lambda e: e[0].step_s)
    fastest, _ = min(every, key=lambda e: e[0].step_s)
    if best.step_s >= WORTH * plain:
        text = "asynchrony would give nothing here: the fastest is synchronous"
    else:
        where = f"{best.mode.name} on {choice.layout.describe()}"
        text = f"asynchrony would save {1 - best.step_s / plain:.0%} of a step: {where}"
    if fastest.step_s < WORTH * best.step_s:
        share = 1 - fastest.step_s / plain
        text += f" ({fastest.mode.name}, which r1 does not have: {share:.0%})"
    return Text(text)


def comparison_text(run: str, found: Comparison) -> Text:
    """How well speeds fitted to half of a run predict the other half."""
    mean = sum(p.real_s for p in found.predictions) / len(found.predictions)
    guess = sum(p.predicted_s for p in found.predictions) / len(found.predictions)
    return Text(
        f"{run}: speeds fitted to its first {len(found.fit.steps)} steps predict "
        f"{guess:.2f} s a step for the {len(found.predictions)} after them, which took "
        f"{mean:.2f} s ({found.mean_error:+.0%}; a step typically {found.typical_error:.0%} off)"
    )


def choice_json(choice: Choice) -> dict[str, Any]:
    """One layout, JSON-serialisable."""
    return {
        **choice.layout._asdict(),
        "num_gpus": choice.layout.num_gpus,
        "fits": not choice.reason,
        "reason": choice.reason,
        "needs": list(choice.needs),
        "learner_bytes": choice.memory.peak,
        "engine_bytes": choice.engine_bytes,
        "slots": choice.slots,
        "draw_s": choice.draw_s,
        "update_s": choice.update_s,
        "sync_s": choice.sync_s,
        "step_s": choice.step_s,
    }


def memory_json(memory: Memory) -> dict[str, Any]:
    """Parts at the peak, and all of them by phase."""
    return {
        "peak_bytes": memory.peak,
        "moment": memory.worst,
        "at_peak": memory.at_peak(),
        "items": [item._asdict() for item in memory.items],
    }


def simulated_json(simulated: Sequence[Simulated]) -> list[dict[str, Any]]:
    """Every mode of every layout that was played."""
    return [
        {"layout": choice.layout._asdict(), **outcome._asdict(), "mode": outcome.mode.name}
        for choice, outcomes in simulated
        for outcome in outcomes
    ]


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Fitted speeds, predictions and their errors."""
    return {
        "engine": found.fit.engine._asdict(),
        "learner": found.fit.learner._asdict(),
        "fitted_steps": list(found.fit.steps),
        "predictions": [p._asdict() for p in found.predictions],
        "mean_error": found.mean_error,
        "typical_error": found.typical_error,
    }


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right")
    return table


def _gb(size: float) -> str:
    return "" if not size else f"{size / GB:,.1f}" if size >= 0.1 * GB else f"{size / GB:.3f}"


def seconds(number: float) -> str:
    """Seconds of a step."""
    return f"{number:,.0f} s" if number >= 100 else f"{number:.3g} s"
