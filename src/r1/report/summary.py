"""The report's figures for programs: what `r1 report RUN --json` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.report.load import RunData, load_run
from r1.report.time_use import time_use

_NOTHING = {"value": None, "low": None, "high": None}


def run_json(folder: Path) -> dict[str, Any]:
    """Summarise a run as JSON-serialisable values.

    pass_at_1, cons_at_k: {"before": {"value", "low", "high"}, "after": ...}, the first and the
        last evaluation on held-out problems; null values where there is none.
    accuracy: the same on held-out preferences.
    format, mean_length, self_check_share: [{"step", "value"}, ...] of the evaluations.
    training: the same (and pass_rate) of the training responses of every step.
    seconds: {"total", and every phase}, summed over the steps that are part of the run.
    time: r1.report.time_use.time_use, means over time of speeds and busy shares among them.
    Raises UserError where `folder` is not a run.
    """
    return summarise(load_run(folder))


def summarise(run: RunData) -> dict[str, Any]:
    """Return `run_json` of a run already read."""
    last = run.evaluations[-1] if run.evaluations else {}
    return {
        "run": str(run.folder),
        "kind": run.kind,
        "done": run.done,
        "num_steps": run.num_steps,
        "k": last.get("k"),
        "num_problems": last.get("num_problems"),
        "pass_at_1": before_after(run, "pass_at_1"),
        "cons_at_k": before_after(run, "cons_at_k"),
        "accuracy": before_after(run, "accuracy"),
        "format": by_step(run.evaluations, "format"),
        "mean_length": by_step(run.evaluations, "mean_length"),
        "self_check_share": by_step(run.evaluations, "self_check_share"),
        "training": {
            "pass_rate": by_step(run.metrics, "pass_rate"),
            "format": by_step(run.metrics, "reward/format"),
            "mean_length": by_step(run.metrics, "length_mean"),
            "self_check_share": by_step(run.metrics, "self_check_share"),
        },
        "seconds": seconds(run),
        "time": time_use(run),
    }


def before_after(run: RunData, key: str) -> dict[str, Any]:
    """Return an interval at the first and at the last evaluation."""
    first = run.evaluations[0].get(key) if run.evaluations else None
    last = run.evaluations[-1].get(key) if run.evaluations else None
    return {"before": first or _NOTHING, "after": last or _NOTHING}


def by_step(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return the values of a key, with their steps."""
    return [{"step": r["step"], "value": r[key]} for r in rows if r.get(key) is not None]


def seconds(run: RunData) -> dict[str, float]:
    """Return seconds in total and by phase; the phase "evaluate" is outside the steps' totals."""
    sums: dict[str, float] = {}
    for row in run.timings:
        for key, value in row.items():
            if key.startswith("seconds/") and value is not None:
                phase = key.removeprefix("seconds/")
                sums[phase] = sums.get(phase, 0.0) + value
    phases = {phase: value for phase, value in sums.items() if phase != "total"}
    if "total" not in sums:
        return {"total": sum(phases.values()), **phases}
    return {"total": sums["total"] + phases.get("evaluate", 0.0), **phases}
