"""Comparisons of two checkpoints: the language ablation, the paper's Table 6, preference.

ablation     the same stage with and without the language reward (v1, section 2.3.2)
table 6      a student distilled against the same student trained by RL alone
preference   share of general prompts on which R1 stands above Dev3; a tie counts half
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from r1.intervals import Interval, share_interval
from r1.report.load import RunData
from r1.report.pipeline.claims import KEPT_WITHIN, Measured
from r1.report.pipeline.differences import Difference
from r1.report.pipeline.load import PipelineData, StageData
from r1.report.pipeline.metrics import show, show_difference

PLAIN, WITH = "_plain", "_language"
STUDENT = "student"
LAST_STEPS = 5
PREFERENCES = ("helpful", "rule_helpful", "harmless", "rule_harmless")


class Ablation(NamedTuple):
    """A stage and its twin without the language reward."""

    stage: str
    plain: str
    ends: Mapping[str, tuple[Interval | None, Interval | None]]  # metric: (plain, with)
    differences: Mapping[str, Difference | None]  # with - plain
    sentences: tuple[str, ...]


class Compute(NamedTuple):
    """The cost of a training run: tokens learned from, tokens seen in updates, seconds."""

    num_steps: int
    tokens_trained: float | None
    tokens_processed: float | None
    seconds: float | None


class Table6(NamedTuple):
    """Distillation against RL alone. values, differences: by "overall" and by family; pass@1."""

    distilled: str
    alone: str
    values: Mapping[str, tuple[Interval | None, Interval | None]]  # (alone, distilled)
    differences: Mapping[str, Difference | None]  # distilled - alone
    compute: Mapping[str, Compute]
    sentence: str


class Preference(NamedTuple):
    """The share of general prompts on which a metric's mean is higher; a tie counts half."""

    metric: str
    share: Interval
    won: int
    tied: int
    lost: int


def ablation(pipeline: PipelineData, measured: Measured) -> Ablation | None:
    """Return the first stage with a twin (see `twins`); None without one."""
    found = twins(tuple(pipeline.stages))
    if found is None:
        return None
    stage, plain = found
    metrics = ("language", "pass_at_1", "mean_length")
    ends = {m: (measured.value(plain, m), measured.value(stage, m)) for m in metrics}
    differences = {m: measured.difference(plain, stage, m) for m in metrics}
    told = [
        _language(differences["language"]),
        _cost(differences["pass_at_1"]),
        _in_training(pipeline.stages[plain].run, pipeline.stages[stage].run),
    ]
    return Ablation(stage, plain, ends, differences, tuple(filter(None, told)))


def twins(names: Sequence[str]) -> tuple[str, str] | None:
    """Return (with the reward, without it): X and X_plain, else X_language and X; else None."""
    pairs = [(name, name + PLAIN) for name in names] + [(name + WITH, name) for name in names]
    return next((pair for pair in pairs if set(pair) <= set(names)), None)


def _language(found: Difference | None) -> str:
    if found is None:
        return ""
    told = _by_side(
        found.interval,
        above="The reward keeps the chain of thought in the asked language",
        below="With the reward the languages are mixed more, not less",
        between="The reward is not shown to have changed the language",
    )
    return f"{told}: {show_difference(found.interval, 'share')}."


def _in_training(plain: RunData | None, rewarded: RunData | None) -> str:
    """Return a sentence on the last steps' own samples, at the training temperature."""
    without, rewarded_end = (_at_the_end(run, "language_consistency") for run in (plain, rewarded))
    if without is None or rewarded_end is None:
        return ""
    return (
        f"Over the last {LAST_STEPS} steps of training {show(without, 'share')} of the words were "
        f"in the asked language without the reward, {show(rewarded_end, 'share')} with it."
    )


def _at_the_end(run: RunData | None, key: str) -> float | None:
    rows = [] if run is None else run.metrics[-LAST_STEPS:]
    values = [row[key] for row in rows if row.get(key) is not None]
    return sum(values) / len(values) if values else None


def _cost(found: Difference | None) -> str:
    if found is None:
        return ""
    points = f"{100 * KEPT_WITHIN:.0f} points"
    told = _by_side(
        found.interval,
        above=f"It costs less than {points} of accuracy",
        below=f"It costs more than {points} of accuracy",
        between=f"Whether it costs more than {points} of accuracy cannot be told",
        of=-KEPT_WITHIN,
    )
    return f"{told}: {show_difference(found.interval, 'share')}."


def _by_side(interval: Interval, *, above: str, below: str, between: str, of: float = 0.0) -> str:
    """Return the text for an interval above `of`, below it, or containing it."""
    if interval.low > of:
        return above
    return below if interval.high < of else between


def table_6(pipeline: PipelineData, measured: Measured) -> Table6 | None:
    """Compare the RL-only student with the distilled one of the same base; None without both."""
    students = [stage for name, stage in pipeline.stages.items() if name.startswith(STUDENT)]
    alone = next((stage for stage in students if stage.learns_from == "rewards"), None)
    distilled = _same_base(alone, [stage for stage in students if stage.learns_from == "examples"])
    if alone is None or distilled is None:
        return None
    names = (alone.name, distilled.name)
    families = dict.fromkeys(
        family
        for name in names
        if name in measured.evaluations
        for family in measured.evaluations[name].families
    )
    scopes = {"overall": "reasoning", **{family: family for family in families}}
    values = {
        label: (
            measured.value(names[0], "pass_at_1", scope),
            measured.value(names[1], "pass_at_1", scope),
        )
        for label, scope in scopes.items()
    }
    differences = {
        label: measured.difference(*names, "pass_at_1", scope) for label, scope in scopes.items()
    }
    sentence = _distilled_wins(differences["overall"], *map(pipeline.title, names))
    spent = {stage.name: compute(stage) for stage in (distilled, alone)}
    return Table6(distilled.name, alone.name, values, differences, spent, sentence)


def _same_base(alone: StageData | None, distilled: Sequence[StageData]) -> StageData | None:
    """Return the distilled student with the same base, else the first."""
    if alone is None or not distilled:
        return None
    same = (stage for stage in distilled if alone.source and stage.source == alone.source)
    return next(same, distilled[0])


def _distilled_wins(found: Difference | None, alone: str, distilled: str) -> str:
    if found is None:
        return "Not both students have been measured yet."
    told = _by_side(
        found.interval,
        above=f"{distilled} (distilled) beats {alone} (RL alone), as in the paper",
        below=f"{alone} (RL alone) beats {distilled}, the opposite of the paper",
        between=f"Neither {distilled} nor {alone} is shown to be better",
    )
    return f"{told}: {show_difference(found.interval, 'share')}."


def compute(stage: StageData) -> Compute:
    """Return the cost of a stage's training so far."""
    run = stage.run
    if run is None:
        return Compute(0, None, None, stage.seconds)
    trained = _sum(run, "tokens_trained", "tokens_learnt")
    return Compute(run.num_steps, trained, _sum(run, "tokens_processed"), stage.seconds)


def _sum(run: RunData, *keys: str) -> float | None:
    """Sum the first of the keys that the steps have."""
    for key in keys:
        values = [row[key] for row in run.metrics if row.get(key) is not None]
        if values:
            return float(sum(values))
    return None


def preferences(measured: Measured, before: str = "dev3", after: str = "r1") -> list[Preference]:
    """Compare the general problems that both answered; [] if one was not measured."""
    first, second = measured.problems(before), measured.problems(after)
    if first is None or second is None:
        return []
    found = []
    for metric in PREFERENCES:
        old, new = first.of(metric, "general"), second.of(metric, "general")
        signs = [_sign(new[name] - old[name]) for name in sorted(old.keys() & new.keys())]
        halves = [(1 + sign) / 2 for sign in signs]
        share = share_interval(halves, num_samples=2 * len(halves))  # a tie is won by half
        if share is not None:
            counts = (signs.count(1), signs.count(0), signs.count(-1))
            found.append(Preference(metric, share, *counts))
    return found


def preference_sentence(item: Preference, before: str, after: str) -> str:
    """State which is preferred, by rule from the interval."""
    return _by_side(
        item.share,
        above=f"{after} is preferred to {before}.",
        below=f"{before} is preferred to {after}.",
        between=f"Neither {after} nor {before} is shown to be preferred.",
        of=0.5,
    )


def _sign(difference: float) -> int:
    """Return the sign of a difference; below rounding it is 0."""
    return 0 if abs(difference) < 1e-9 else 1 if difference > 0 else -1
