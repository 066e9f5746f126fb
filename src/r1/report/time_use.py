"""A run's use of time: phases, tokens a second, busy shares, queues, restarts.

Reads timings.jsonl (and staleness from metrics.jsonl). A step that was repeated after a kill
appears once, with its last timings; the time between two processes of one run belongs to no step.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from r1.report.figures import (
    PHASE_ORDER,
    Chart,
    Series,
    Unit,
    rank,
    seconds_by_phase,
    training_series,
)
from r1.report.load import RunData

SPEEDS = {
    "speed/rollout_tokens": ("drawn, while engines draw", 0),
    "speed/update_tokens": ("learnt from, while the learner learns", 1),
    "speed/step_tokens": ("drawn, over the whole step", 2),
    "speed/tokens_per_s": ("learnt from", 1),
}
RESTARTS = {
    "pool/engine_restarts": ("engines", 0),
    "pool/learner_restarts": ("learner ranks", 1),
    "pool/restarts": ("reward workers", 2),
    "pool/reward_server_restarts": ("reward models", 3),
}
QUEUES = {
    "queue/engines": ("for an engine", 0),
    "queue/rewards": ("for their rewards", 2),
    "queue/late": ("for late verdicts", 3),
}


def time_charts(run: RunData) -> list[Chart]:
    """Return the figures; charts without a point are left out."""
    makers = (seconds_by_phase, tokens_per_second, busy, queues, staleness, restarts)
    return [chart for chart in (make(run) for make in makers) if chart.series]


def tokens_per_second(run: RunData) -> Chart:
    """Return tokens a second of sampling, of learning, and of the whole step."""
    note = "Of responses where they are drawn, with prompts where they are learnt from."
    return _lines(run, "speed", "Tokens a second", note, "number", SPEEDS)


def busy(run: RunData) -> Chart:
    """Return busy shares of engines and learner; band: from the idlest to the busiest replica."""
    engines = _timing(run, "busy/engines", "engines", 0)
    replicas = [
        [
            value
            for key, value in row.items()
            if key.startswith("busy/engine_") and value is not None
        ]
        for row in run.timings
        if row.get("busy/engines") is not None
    ]
    if replicas and all(replicas):
        engines.low, engines.high = [min(r) for r in replicas], [max(r) for r in replicas]
    lines = [engines, _timing(run, "busy/learner", "learner", 1)]
    note = "Share of the step; band: from the idlest replica to the busiest."
    if not engines.low:
        note = "Share of the step."
    return Chart("busy", "Busy", note, "share", [s for s in lines if s.x], limits=(0.0, 1.0))


def queues(run: RunData) -> Chart:
    """Return the deepest queues of groups in a step."""
    note = "Groups that waited at one time, the most in a step."
    return _lines(run, "queues", "Queues", note, "number", QUEUES)


def staleness(run: RunData) -> Chart:
    """Return updates between the weights that sampled a batch and those that learn from it."""
    largest = training_series(run, "staleness_max", "the most", 5, "thin")
    lines = [training_series(run, "staleness", "mean over samples", 3), largest]
    note = "Updates between the weights that drew a sample and those that learn from it."
    return Chart("staleness", "Staleness", note, "number", [line for line in lines if any(line.y)])


def restarts(run: RunData) -> Chart:
    """Return the number of restarted processes; empty without any."""
    chart = _lines(
        run, "restarts", "Restarts", "Processes started again, so far.", "number", RESTARTS
    )
    kept = [series for series in chart.series if any(series.y)]
    for series in kept:
        series.y = list(accumulate(value or 0.0 for value in series.y))
    chart.series = kept
    return chart


def time_use(run: RunData) -> dict[str, Any]:
    """Return sums and means over the run for programs; {} if nothing was timed.

    seconds: by phase; "evaluate" is between steps, "other" is the part of the steps outside all
    phases. tokens_per_s: response tokens over the steps' seconds (supervised: tokens learnt from).
    busy: means over time, by who. deepest: groups that waited, by where. restarts: by who.
    """
    rows = [row for row in run.timings if row.get("seconds/total")]
    if not rows:
        return {}
    total = sum(row["seconds/total"] for row in rows)
    seconds: dict[str, float] = {}
    for row in run.timings:
        for key, value in row.items():
            if key.startswith("seconds/") and key != "seconds/total" and value is not None:
                phase = key.removeprefix("seconds/")
                seconds[phase] = seconds.get(phase, 0.0) + value
    known = sum(value for phase, value in seconds.items() if phase != "evaluate")
    if seconds.keys() - {"evaluate"}:
        seconds["other"] = max(0.0, total - known)
    order = (*PHASE_ORDER, "other", "evaluate")
    seconds = dict(sorted(seconds.items(), key=lambda item: rank(item[0], order)))
    speed = "speed/step_tokens" if "speed/step_tokens" in rows[-1] else "speed/tokens_per_s"
    return {
        "seconds": seconds,
        "steps_seconds": total,
        "tokens_per_s": _over_time(rows, speed),
        "busy": _each(rows, "busy/", lambda key: _over_time(rows, key)),
        "deepest": _each(rows, "queue/", lambda key: max(_values(rows, key))),
        "restarts": {
            name: sum(_values(rows, key))
            for key, (name, _) in RESTARTS.items()
            if any(key in row for row in rows)
        },
    }


def _lines(
    run: RunData, id: str, title: str, note: str, unit: Unit, keys: dict[str, tuple[str, int]]
) -> Chart:
    lines = [_timing(run, key, name, tone) for key, (name, tone) in keys.items()]
    return Chart(id, title, note, unit, [line for line in lines if line.x])


def _timing(run: RunData, key: str, name: str, tone: int) -> Series:
    points = [(row["step"], row[key]) for row in run.timings if row.get(key) is not None]
    return Series(name, tone, "line", [x for x, _ in points], [float(y) for _, y in points])


def _values(rows: list[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows if row.get(key) is not None]


def _over_time(rows: list[dict[str, Any]], key: str) -> float | None:
    """Return a mean over time: each step counts by its seconds."""
    pairs = [(row[key], row["seconds/total"]) for row in rows if row.get(key) is not None]
    seconds = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / seconds if seconds else None


def _each(rows: list[dict[str, Any]], prefix: str, value: Any) -> dict[str, Any]:
    keys = dict.fromkeys(key for row in rows for key in row if key.startswith(prefix))
    return {key.removeprefix(prefix): value(key) for key in keys}
