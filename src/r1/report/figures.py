"""The figures of a run as plain numbers; page.py and pictures.py draw them.

After the paper: accuracy over steps is its Figure 2, mean response length its Figure 3. The x of
every point is the number of updates behind the measured weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from r1.report.load import MAX_LENGTH_STEPS, RunData

Unit = Literal["share", "tokens", "seconds", "number"]
EXPLAINED = (
    "explained_variance",
    *(f"explained_variance/{third}" for third in ("begin", "middle", "end")),
)
PHASE_ORDER = ("rollout", "reward", "update", "sync")


@dataclass(slots=True)
class Series:
    """One line: y[i] at step x[i]; low and high, where present, span an interval around it.

    y[i] is None where the value was no number: the line has a gap there.

    style: "marked" has a dot a point (evaluations), "line" none, "thin" stays in the background.
    tone: the place in the palette, so that one quantity has one colour on the whole page.
    """

    name: str
    tone: int
    style: Literal["marked", "line", "thin"]
    x: list[int]
    y: Sequence[float | None]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Chart:
    """One figure. limits fixes the y axis; stacked draws the series on top of each other. axis says
    what x counts."""

    id: str
    title: str
    note: str
    unit: Unit
    series: list[Series]
    limits: tuple[float, float] | None = None
    stacked: bool = False
    axis: str = "step"


def main_charts(run: RunData) -> list[Chart]:
    """Return the most important figures; charts without a point are left out."""
    makers = (accuracy, loss, length, self_check, reward_parts, outcomes)
    return [chart for chart in (make(run) for make in makers) if chart.series]


def health_charts(run: RunData) -> list[Chart]:
    """Return small figures that show whether the optimisation is sound."""
    wanted: tuple[tuple[str, str, Unit, tuple[str, ...]], ...] = (
        ("Entropy", "nats per token", "number", ("entropy",)),
        ("KL", "to the reference policy", "number", ("kl",)),
        ("KL", "to the teacher, nats a token", "number", ("teacher_kl",)),
        ("Gradient norm", "before clipping", "number", ("grad_norm",)),
        ("Clipped tokens", "share, below and above", "share", ("clip_low", "clip_high")),
        ("Critic", "explained variance of returns", "number", EXPLAINED),
        ("Value loss", "of the critic", "number", ("value_loss",)),
        ("Groups without signal", "all rewards equal", "share", ("zero_variance",)),
        ("Truncated", "cut at the token limit", "share", ("truncated",)),
        ("Engine and learner", "mean log-prob gap", "number", ("engine_gap",)),
        ("Engine and learner", "largest log-prob gap", "number", ("engine_gap_max",)),
        ("Importance weights", "mean; they correct the gap", "number", ("importance",)),
        ("Capped weights", "share of tokens", "share", ("importance_capped",)),
        ("Language consistency", "words in the asked language", "share", ("language_consistency",)),
        ("Learning rate", "of the optimiser", "number", ("lr",)),
    )
    charts = []
    for title, note, unit, keys in wanted:
        lines = [
            training_series(run, key, key.replace("_", " ").replace("/", ", "), tone)
            for tone, key in enumerate(keys)
        ]
        lines = [line for line in lines if line.x]
        if lines:
            charts.append(Chart(f"health-{keys[0]}", title, note, unit, lines))
    return charts


def accuracy(run: RunData) -> Chart:
    """Return Figure 2: pass@1 and cons@k on held-out problems, and the pass rate in training."""
    k = run.evaluations[-1].get("k", "k") if run.evaluations else "k"
    series = [
        training_series(run, "pass_rate", "training pass rate", 5, "thin"),
        interval_series(run, "cons_at_k", f"cons@{k}", 1),
        interval_series(run, "pass_at_1", "pass@1", 0),
    ]
    note = "Held-out problems with 95% intervals; thin line: problems trained on."
    return Chart("accuracy", "Accuracy", note, "share", _kept(series), limits=(0.0, 1.0))


def loss(run: RunData) -> Chart:
    """Return the loss of supervised fine-tuning; a policy's loss says nothing about its quality."""
    series = []
    if any("tokens_learnt" in row for row in run.metrics[:1]):
        series = [
            training_series(run, "loss", "training", 5, "thin"),
            evaluated_series(run, "loss", "held-out", 0),
        ]
    return Chart("loss", "Loss", "Nats a learnt token.", "number", _kept(series))


def length(run: RunData) -> Chart:
    """Return Figure 3: mean response length, with the middle half of the training responses."""
    training = training_series(run, "length_mean", "training, mean", 2)
    bands = {item.step: item for item in run.lengths}
    measured = [(x, y) for x, y in zip(training.x, training.y, strict=True) if x in bands]
    note = "Tokens per response."
    if measured and len(measured) in (len(training.x), MAX_LENGTH_STEPS):
        note = "Tokens per response; band: the middle half of the training responses."
        if len(measured) < len(training.x):
            note += f" Of training {len(measured):,} of {len(training.x):,} steps are drawn."
        training.x, training.y = [x for x, _ in measured], [y for _, y in measured]
        training.low = [bands[step].low for step in training.x]
        training.high = [bands[step].high for step in training.x]
    series = [training, evaluated_series(run, "mean_length", "held-out, mean", 0)]
    return Chart("length", "Response length", note, "tokens", _kept(series))


def self_check(run: RunData) -> Chart:
    """Return the share of responses that check themselves (reflective words)."""
    series = [
        training_series(run, "self_check_share", "training", 5, "thin"),
        evaluated_series(run, "self_check_share", "held-out", 3),
    ]
    note = "Share of the responses that go back over their own work."
    return Chart("self-check", "Self-checking answers", note, "share", _kept(series))


def reward_parts(run: RunData) -> Chart:
    """Return the mean of every part of the reward in training."""
    names = _keys(run.metrics, "reward/")
    lines = [
        training_series(run, name, name.removeprefix("reward/"), tone)
        for tone, name in enumerate(names)
    ]
    return Chart("rewards", "Reward parts", "Mean over a step's responses.", "number", _kept(lines))


def seconds_by_phase(run: RunData) -> Chart:
    """Return the seconds of a step by phase, stacked."""
    apart = ("seconds/total", "seconds/evaluate")
    names = [name for name in _keys(run.timings, "seconds/") if name not in apart]
    names.sort(key=lambda name: rank(name.removeprefix("seconds/"), PHASE_ORDER))
    rows = [row for row in run.timings if any(name in row for name in names)]
    steps = [row["step"] for row in rows]
    series = [
        Series(
            name.removeprefix("seconds/"),
            tone,
            "line",
            steps,
            [float(row.get(name) or 0.0) for row in rows],
        )
        for tone, name in enumerate(names)
    ]
    note = "Where a training step's time goes; evaluations are not in it."
    return Chart("seconds", "Seconds a step", note, "seconds", _kept(series), stacked=True)


def outcomes(run: RunData) -> Chart:
    """Return the verifiers' outcomes in training, counted and stacked."""
    names = [n for n in _keys(run.metrics, "outcome/") if any(row.get(n) for row in run.metrics)]
    order = ("correct", "wrong", "unparseable", "timed-out", "verifier-failed")
    tones = {"correct": 2, "wrong": 4, "unparseable": 1, "timed-out": 3, "verifier-failed": 5}
    names.sort(key=lambda name: rank(name.removeprefix("outcome/"), order))
    series = [
        Series(
            short := name.removeprefix("outcome/"),
            tones.get(short, 5),
            "line",
            [row["step"] for row in run.metrics],
            [float(row.get(name) or 0.0) for row in run.metrics],
        )
        for name in names
    ]
    note = "Training responses by what the verifier found."
    return Chart("outcomes", "Outcomes", note, "number", _kept(series), stacked=True)


def training_series(
    run: RunData,
    key: str,
    name: str,
    tone: int,
    style: Literal["line", "thin"] = "line",
) -> Series:
    """Return a metric of every training step, None where it was NaN; empty where it always was."""
    points = [(row["step"], row[key]) for row in run.metrics if key in row]
    if all(y is None for _, y in points):
        points = []
    y = [None if y is None else float(y) for _, y in points]
    return Series(name, tone, style, [x for x, _ in points], y)


def evaluated_series(run: RunData, key: str, name: str, tone: int) -> Series:
    """Return a metric of every evaluation, without an interval."""
    return _marked(run, name, tone, lambda row: row.get(key))


def interval_series(run: RunData, key: str, name: str, tone: int) -> Series:
    """Return a metric of every evaluation, with its interval."""
    series = _marked(run, name, tone, lambda row: (row.get(key) or {}).get("value"))
    rows = [row[key] for row in run.evaluations if (row.get(key) or {}).get("value") is not None]
    if all(row.get("low") is not None and row.get("high") is not None for row in rows):
        series.low = [float(row["low"]) for row in rows]
        series.high = [float(row["high"]) for row in rows]
    return series


def _marked(run: RunData, name: str, tone: int, value: Callable[[dict[str, Any]], Any]) -> Series:
    points = [(row["step"], value(row)) for row in run.evaluations if value(row) is not None]
    return Series(name, tone, "marked", [x for x, _ in points], [float(y) for _, y in points])


def _keys(rows: Iterable[dict[str, Any]], prefix: str) -> list[str]:
    """Return all keys with a prefix, in the order of first appearance."""
    return list(dict.fromkeys(key for row in rows for key in row if key.startswith(prefix)))


def _kept(series: list[Series]) -> list[Series]:
    return [item for item in series if item.x]


def rank(name: str, order: tuple[str, ...]) -> tuple[int, str]:
    """Return a sort key: the given order first, then the other names alphabetically."""
    return (order.index(name) if name in order else len(order), name)
