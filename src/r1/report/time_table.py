"""A run's use of time, and the gap between engine and learner, as escaped plain HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from r1.report.load import RunData
from r1.report.tables import duration, percent
from r1.report.time_use import QUEUES, time_use


def time_section(run: RunData) -> str:
    """Return the table under the figures: seconds by phase with shares, and the run's means."""
    found = time_use(run)
    if not found:
        return ""
    whole = found["steps_seconds"] + found["seconds"].get("evaluate", 0.0)
    phases = found["seconds"] or {"steps": whole}
    rows = [
        f'<tr><td>{escape(phase)}</td><td class="number">{duration(seconds)}</td>'
        f'<td class="number">{percent(seconds / whole)}</td>'
        f'<td class="wide"><span class="share" style="width:{100 * seconds / whole:.1f}%"></span>'
        "</td></tr>"
        for phase, seconds in phases.items()
    ]
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in _facts(found))
    return (
        '<div class="scroll"><table id="time-table"><thead><tr><th>phase</th>'
        '<th class="number">in all</th><th class="number">share</th><th class="wide"></th></tr>'
        f'</thead><tbody>{"".join(rows)}</tbody></table></div><ul class="facts">{facts}</ul>'
    )


def gap_note(run: RunData) -> str:
    """Return a sentence on the gap between the engine's and the learner's log-probabilities, and
    its correction; "" for a run without an engine."""
    gaps = [row["engine_gap"] for row in run.metrics if row.get("engine_gap") is not None]
    if not gaps:
        return ""
    largest = max(row.get("engine_gap_max") or 0.0 for row in run.metrics)
    text = (
        "The engine's log-probability of a token it drew differs from the learner's by "
        f"{sum(gaps) / len(gaps):.1e} nats on average, by {largest:.1e} at the most"
    )
    cap = _importance_cap(run.recipe)
    if not cap:
        return f"{text}; nothing corrects for it (importance_cap is 0)."
    text += f"; importance weights of at most {cap:g} correct for it"
    weights = [row["importance"] for row in run.metrics if row.get("importance") is not None]
    if weights:
        capped = [row.get("importance_capped") or 0.0 for row in run.metrics]
        mean, share = sum(weights) / len(weights), sum(capped) / len(capped)
        text += f" ({mean:.3f} on average, {percent(share)} of the tokens at the cap)"
    return f"{text}."


def _importance_cap(recipe: Mapping[str, Any]) -> float:
    """Return importance_cap from the algorithm's section; 0 if no section has one."""
    sections = (section for section in recipe.values() if isinstance(section, dict))
    found = next((s["importance_cap"] for s in sections if "importance_cap" in s), 0.0)
    return found if isinstance(found, int | float) else 0.0


def _facts(found: dict[str, Any]) -> list[str]:
    facts = []
    if found["tokens_per_s"] is not None:
        facts.append(f"{found['tokens_per_s']:,.0f} tokens a second over all steps")
    replicas = {who: share for who, share in found["busy"].items() if who.startswith("engine_")}
    for who, share in found["busy"].items():
        if who not in replicas:
            facts.append(f"{who} busy {percent(share)} of the steps")
    if replicas:
        idlest, busiest = (
            min(replicas, key=replicas.__getitem__),
            max(replicas, key=replicas.__getitem__),
        )
        facts.append(
            f"replicas from {percent(replicas[idlest])} ({idlest}) to "
            f"{percent(replicas[busiest])} ({busiest})"
        )
    for where, deepest in found["deepest"].items():
        if deepest:
            whom = QUEUES[f"queue/{where}"][0]
            facts.append(f"{deepest:.0f} groups waited {whom} at the most")
    lost = ", ".join(f"{number:.0f} x {who}" for who, number in found["restarts"].items())
    if any(found["restarts"].values()):
        facts.append(f"started again: {lost}")
    return facts
