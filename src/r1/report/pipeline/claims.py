"""Each stage's effect, stated by rule from the numbers, beside the paper's claim.

    "up"     the interval of after - before lies above zero: as the paper says; below: the opposite
    "kept"   it lies above -5 points: kept; below -5 points: lost
    "mixes"  the consistency's interval lies below 0.9: languages are mixed; above: they are not
    "holds"  the consistency's interval lies above 0.97: it holds; below: it does not

In all other cases the data cannot tell, and the sentence says so. Differences are paired over
problems where both evaluations asked the same ones (paper, Table 3 and its discussion).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from r1.intervals import Interval
from r1.report.pipeline.differences import Difference, paired, unpaired
from r1.report.pipeline.load import BASE, EvaluationResults, PipelineData
from r1.report.pipeline.metrics import METRICS, Metric, show, show_difference, show_range
from r1.report.pipeline.problems import ProblemTable, read_problems

Scope = Literal["reasoning", "general"]
Expectation = Literal["up", "kept", "mixes", "holds"]
Verdict = Literal["as the paper", "cannot be told", "the opposite", "to come"]
KEPT_WITHIN = 0.05
MIXES_BELOW, HOLDS_ABOVE = 0.9, 0.97


class Claim(NamedTuple):
    """A claim of the paper about a stage's checkpoint. before: the checkpoint to compare with."""

    after: str
    before: str | None
    metric: str
    scope: Scope
    expected: Expectation


CLAIMS = (
    Claim("r1_zero", BASE, "pass_at_1", "reasoning", "up"),
    Claim("r1_zero", BASE, "mean_length", "reasoning", "up"),
    Claim("r1_zero", None, "language", "reasoning", "mixes"),
    Claim("dev1", BASE, "format", "reasoning", "up"),
    Claim("dev1", BASE, "language", "reasoning", "up"),
    Claim("dev1", "r1_zero", "language", "reasoning", "up"),
    Claim("dev2", "dev1", "pass_at_1", "reasoning", "up"),
    Claim("dev3", "dev2", "helpful", "general", "up"),
    Claim("dev3", "dev2", "rule_helpful", "general", "up"),
    Claim("dev3", "dev2", "pass_at_1", "reasoning", "kept"),
    Claim("r1", "dev3", "helpful", "general", "up"),
    Claim("r1", "dev3", "rule_helpful", "general", "up"),
    Claim("r1", "dev3", "harmless", "general", "up"),
    Claim("r1", "dev3", "rule_harmless", "general", "up"),
    Claim("r1", "dev3", "pass_at_1", "reasoning", "kept"),
    Claim("r1", None, "language", "reasoning", "holds"),
)


class Statement(NamedTuple):
    """A claim compared with the numbers. difference is None if nothing was compared."""

    claim: Claim
    verdict: Verdict
    sentence: str
    before: Interval | None = None
    after: Interval | None = None
    difference: Difference | None = None


class Measured:
    """Evaluations with their problems' figures; each table and each pair is read once."""

    def __init__(self, pipeline: PipelineData) -> None:
        self.evaluations: Mapping[str, EvaluationResults] = pipeline.evaluations
        self._problems: dict[str, ProblemTable | None] = {}
        self._differences: dict[tuple[str, str, str, str], Difference | None] = {}

    def problems(self, stage: str) -> ProblemTable | None:
        """Return the problems of an evaluated stage; None without it or its completions."""
        if stage not in self._problems:
            evaluation = self.evaluations.get(stage)
            self._problems[stage] = None if evaluation is None else read_problems(evaluation)
        return self._problems[stage]

    def value(self, stage: str, metric: str, scope: str = "reasoning") -> Interval | None:
        """Return a figure from the table of stages; scope may be a family."""
        evaluation = self.evaluations.get(stage)
        if evaluation is None:
            return None
        if scope == "general":
            return evaluation.general.get(metric)
        if scope == "reasoning":
            return evaluation.overall.get(metric)
        return evaluation.families.get(scope, {}).get(metric)

    def difference(
        self, before: str, after: str, metric: str, scope: str = "reasoning"
    ) -> Difference | None:
        """Return after - before, paired if the same problems were asked and have figures."""
        key = (before, after, metric, scope)
        if key not in self._differences:
            self._differences[key] = self._compare(*key)
        return self._differences[key]

    def _compare(self, before: str, after: str, metric: str, scope: str) -> Difference | None:
        first, second = self.problems(before), self.problems(after)
        if first is not None and second is not None and first.ids(scope) == second.ids(scope):
            largest = 1.0 if METRICS[metric].unit == "share" else math.inf
            sides = (first.of(metric, scope), second.of(metric, scope))
            found = paired(*sides, largest, self._samples_a_problem(before, after))
            if found is not None:
                return found
        old, new = self.value(before, metric, scope), self.value(after, metric, scope)
        return None if old is None or new is None else unpaired(old, new)

    def _samples_a_problem(self, *stages: str) -> int:
        """Return the least of the evaluations' samples of a problem; 1 where one does not say."""
        told = [self.evaluations[stage].about.get("num_samples") for stage in stages]
        return min(each if isinstance(each, int) and each > 0 else 1 for each in told)


def statements(pipeline: PipelineData, measured: Measured) -> list[Statement]:
    """Return every claim about stages of this pipeline, in stage order."""
    known = {BASE, *pipeline.stages}
    evaluated = {s.evaluates for s in pipeline.stages.values() if s.evaluates}
    found = []
    for claim in CLAIMS:
        sides = {claim.after, claim.before or claim.after}
        if sides <= known and sides <= evaluated:
            statement = judge(claim, pipeline, measured)
            if statement is not None:
                found.append(statement)
    return found


def judge(claim: Claim, pipeline: PipelineData, measured: Measured) -> Statement | None:
    """Compare one claim with the numbers; None if the metric was not measured."""
    metric = METRICS[claim.metric]
    sides = [claim.after] if claim.before is None else [claim.before, claim.after]
    titles = {side: pipeline.title(side) for side in sides}
    waiting = [titles[side] for side in sides if side not in measured.evaluations]
    if waiting:
        what = f"{metric.label} of {' against '.join(titles[side] for side in sides[::-1])}"
        return Statement(claim, "to come", f"Not measured yet: {what}.")
    after = measured.value(claim.after, claim.metric, claim.scope)
    if after is None:
        return None
    if claim.before is None:
        verdict, sentence = _consistency(titles[claim.after], after, claim.expected)
        return Statement(claim, verdict, sentence, None, after)
    before = measured.value(claim.before, claim.metric, claim.scope)
    difference = measured.difference(claim.before, claim.after, claim.metric, claim.scope)
    if before is None or difference is None:
        return None
    names = (titles[claim.before], titles[claim.after])
    tell = _kept if claim.expected == "kept" else _moved
    verdict, sentence = tell(names, metric, before, after, difference)
    return Statement(claim, verdict, sentence, before, after, difference)


def _moved(
    names: tuple[str, str], metric: Metric, before: Interval, after: Interval, found: Difference
) -> tuple[Verdict, str]:
    """Judge "up": the metric rose, fell, or the data cannot tell."""
    numbers = _numbers(metric, before, after, found)
    old, new = names
    if found.interval.low > 0:
        return "as the paper", f"{new} {metric.more} than {old}: {numbers}."
    if found.interval.high < 0:
        return (
            "the opposite",
            f"{new} {metric.less} than {old}, the opposite of what the paper found: {numbers}.",
        )
    return (
        "cannot be told",
        f"{new} {metric.same} as {old} as far as can be told: {numbers}. The interval holds "
        "zero: nothing is shown to have moved.",
    )


def _kept(
    names: tuple[str, str], metric: Metric, before: Interval, after: Interval, found: Difference
) -> tuple[Verdict, str]:
    """Judge "kept": a loss of more than 5 points is excluded, certain, or neither."""
    numbers = _numbers(metric, before, after, found)
    old, new = names
    points = f"{100 * KEPT_WITHIN:.0f} points"
    if found.interval.low > -KEPT_WITHIN:
        return "as the paper", f"{new} keeps the reasoning of {old} to within {points}: {numbers}."
    if found.interval.high < -KEPT_WITHIN:
        return (
            "the opposite",
            f"{new} loses more than {points} of the reasoning of {old}, where the paper keeps it: "
            f"{numbers}.",
        )
    lost = "It solves less; whether" if found.interval.high < 0 else "Whether"
    return (
        "cannot be told",
        f"{new} against {old} in reasoning: {numbers}. {lost} more than {points} were lost cannot "
        "be told.",
    )


def _consistency(name: str, after: Interval, expected: Expectation) -> tuple[Verdict, str]:
    """Judge "mixes" and "holds" by the interval of the language consistency."""
    number = f"{show(after.value, 'share')} of its words are in the asked language"
    numbers = f"{number} (95% interval {show_range(after, 'share')})"
    if expected == "mixes":
        if after.high < MIXES_BELOW:
            return "as the paper", f"{name} mixes languages: {numbers}."
        if after.low > MIXES_BELOW:
            return (
                "the opposite",
                f"{name} hardly mixes languages, the opposite of what the paper found: {numbers}.",
            )
        return "cannot be told", f"{name} may or may not mix languages: {numbers}."
    if after.low > HOLDS_ABOVE:
        return "as the paper", f"{name} keeps to the asked language: {numbers}."
    if after.high < HOLDS_ABOVE:
        return (
            "the opposite",
            f"{name} does not keep to the asked language, where the paper's does: {numbers}.",
        )
    return (
        "cannot be told",
        f"{name} keeps to the asked language, but not surely above "
        f"{show(HOLDS_ABOVE, 'share')}: {numbers}.",
    )


def _numbers(metric: Metric, before: Interval, after: Interval, found: Difference) -> str:
    if found.paired:
        how = f"on the same {found.num_problems:,} problems"
    else:
        how = "as two separate sets of problems"
    return (
        f"{metric.label} {show(before.value, metric.unit)} → {show(after.value, metric.unit)}, "
        f"{show_difference(found.interval, metric.unit)}, {how}"
    )
