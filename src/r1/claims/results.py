"""Judge the claims of a folder from what its finished stages measured (torch-free).

    OUT/claims.json   every claim with its comparisons, intervals, verdicts and costs

Equal experiments give equal bytes, however often they were killed: seconds are on the page alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1.claims.arms import ClaimPlan
from r1.claims.difference import (
    ClaimVerdict,
    SeedsDifference,
    of_runs,
    over_problems,
    verdict_of,
    whole_verdict,
)
from r1.claims.measure import MeasuredStage, RunCost, cost_of, measure_stage
from r1.claims.settings import COSTS, OF_RUNS, SHARES, ComparisonSettings, LoadedClaim
from r1.pipeline import graph
from r1.run_dir import atomic

RESULTS = "claims.json"


MAX_UNJUDGED = 0.02
"""Where verifiers failed on a larger share of an arm's held-out samples, nothing is concluded: on a
machine with too much to do they run into their wall clock."""


class ComparisonResult(NamedTuple):
    """A comparison beside the numbers. arm, than: means over seeds and the problems that all runs
    have; None before they are there. reason: why there is no verdict though all has run, or of how
    many seeds it is so far and how many problems were left out."""

    settings: ComparisonSettings
    verdict: ClaimVerdict
    found: SeedsDifference | None = None
    arm: float | None = None
    than: float | None = None
    reason: str = ""


class ArmResult(NamedTuple):
    """An arm with what it measured and cost. stages: by seed; those of seeds that change nothing
    are one. known, costs: of the stages that are done."""

    name: str
    title: str
    stages: Sequence[str]
    known: Mapping[str, MeasuredStage]
    costs: Mapping[str, RunCost]

    @property
    def measured(self) -> list[MeasuredStage]:
        """What the stages that are done measured, each once."""
        return list(self.known.values())


class ClaimResult(NamedTuple):
    """A claim, its verdict, and everything behind it. to_do: stages that have not run."""

    claim: LoadedClaim
    verdict: ClaimVerdict
    comparisons: Sequence[ComparisonResult]
    arms: Mapping[str, ArmResult]
    to_do: int


def judge_claims(
    claims: Sequence[LoadedClaim], plan: ClaimPlan, out: Path
) -> tuple[ClaimResult, ...]:
    """Return every claim with what is known so far. Raises UserError for damaged files."""
    known: dict[str, MeasuredStage] = {}
    return tuple(_judge(claim, plan, out, known) for claim in claims)


def write_results(results: Sequence[ClaimResult], out: Path) -> Path:
    """Write claims.json; return its path."""
    atomic.write_json(out / RESULTS, {"claims": [_json(result, out) for result in results]})
    return out / RESULTS


def _judge(
    claim: LoadedClaim, plan: ClaimPlan, out: Path, known: dict[str, MeasuredStage]
) -> ClaimResult:
    arms = {}
    for arm, names in plan.arms[claim.name].items():
        done = [name for name in dict.fromkeys(names) if is_done(out, name)]
        for name in done:
            known[name] = known[name] if name in known else measure_stage(out / name)
        costs = {name: _with_above(plan, out, name) for name in done}
        measured = {name: known[name] for name in done}
        arms[arm] = ArmResult(arm, plan.titles[claim.name][arm], names, measured, costs)
    comparisons = [compare_arms(each, arms) for each in claim.settings.compare]
    verdict = claim_verdict(comparisons)
    to_do = sum(not is_done(out, name) for name in plan.needs[claim.name])
    return ClaimResult(claim, verdict, comparisons, arms, to_do)


def claim_verdict(comparisons: Sequence[ComparisonResult]) -> ClaimVerdict:
    """Return a claim's verdict: of the comparisons that decide."""
    return whole_verdict([each.verdict for each in comparisons if each.settings.decides])


def is_done(out: Path, stage: str) -> bool:
    """Whether a stage ended; it is named by its settings, so they are the same."""
    return graph.read_marker(out, stage) is not None


def _with_above(plan: ClaimPlan, out: Path, name: str) -> RunCost:
    """Return the cost of a stage with all that it reads, each counted once."""
    found, waiting = set[str](), [name]
    while waiting:
        stage = waiting.pop()
        if stage not in found:
            found.add(stage)
            waiting += plan.stages[stage].reads
    total = cost_of(out / name)
    for stage in found - {name}:
        total = total.plus(cost_of(out / stage))
    return total


def compare_arms(comparison: ComparisonSettings, arms: Mapping[str, ArmResult]) -> ComparisonResult:
    """Return the difference of two arms over the seeds that both have run, and its verdict, or why
    there is none."""
    arm, than = arms[comparison.arm], arms[comparison.than]
    pairs = list(dict.fromkeys(zip(arm.stages, than.stages, strict=True)))
    done = [(a, b) for a, b in pairs if a in arm.known and b in than.known]
    if not done:
        return ComparisonResult(comparison, ClaimVerdict.TO_COME)
    if spoilt := _spoilt(arm) or _spoilt(than):
        return ComparisonResult(comparison, ClaimVerdict.TO_COME, reason=spoilt)
    name, found = comparison.measure, None
    other = comparison.than_measure or name
    sides = [
        [_values(side.known[stage], measure) for stage in stages]
        for side, measure, stages in zip(
            (arm, than), (name, other), zip(*done, strict=True), strict=True
        )
    ]
    whole = all(value for side in sides for value in side)
    if name in OF_RUNS and whole:
        ours, theirs = ([value[""] for value in side] for side in sides)
        found = of_runs(ours, theirs, cost=name in COSTS)
    elif whole:
        found = over_problems(sides[0], sides[1], 1.0 if name in SHARES else math.inf)
    if found is None:
        lacks = f"{arm.title} or {than.title} has no {name} or {other}."
        if whole:
            lacks = f"{arm.title} and {than.title} have no problem in common."
        return ComparisonResult(comparison, ClaimVerdict.TO_COME, reason=lacks)
    shared = set.intersection(*(set(values) for side in sides for values in side))
    means = [float(np.mean([[v[p] for p in sorted(shared)] for v in side])) for side in sides]
    verdict = verdict_of(comparison, found)
    told = [f"{len(done)} of {len(pairs)} seeds so far."] if len(done) < len(pairs) else []
    if alone := len(set.union(*(set(values) for side in sides for values in side)) - shared):
        told.append(f"left out, as not every run has them: {alone} of the problems.")
    return ComparisonResult(comparison, verdict, found, means[0], means[1], " ".join(told))


def _spoilt(arm: ArmResult) -> str:
    """Return why an arm's figures tell nothing; "" for sound ones."""
    for stage, measured in arm.known.items():
        if measured.unjudged > MAX_UNJUDGED:
            return (
                f"verifiers failed on {measured.unjudged:.0%} of the samples of {arm.title} "
                f"({stage}); remove that folder and run it on a quieter machine."
            )
    return ""


def _values(stage: MeasuredStage, measure: str) -> Mapping[str, float]:
    """Return a measure's value for every problem; of a run one value, by the name ""."""
    if measure in OF_RUNS:
        return {"": stage.of_run[measure]} if measure in stage.of_run else {}
    return stage.values.get(measure, {})


def _without_seconds(cost: RunCost) -> dict[str, Any]:
    return {name: value for name, value in cost._asdict().items() if name != "seconds"}


def _json(result: ClaimResult, out: Path) -> dict[str, Any]:
    settings = result.claim.settings
    return {
        "claim": result.claim.name,
        "file": os.path.relpath(result.claim.path.resolve(), out.resolve()),
        "title": settings.title,
        "source": settings.source,
        "verdict": str(result.verdict),
        "stages_to_do": result.to_do,
        "comparisons": [
            {
                **each.settings.model_dump(),
                "verdict": str(each.verdict),
                "reason": each.reason,
                "value": {"arm": each.arm, "than": each.than},
                "difference": None if each.found is None else each.found.interval._asdict(),
                "seeds": None if each.found is None else each.found.of_seeds,
                "num_problems": None if each.found is None else each.found.num_problems,
            }
            for each in result.comparisons
        ],
        "arms": {
            arm.name: {
                "title": arm.title,
                "stages": list(arm.stages),
                "costs": [_without_seconds(cost) for cost in arm.costs.values()],
            }
            for arm in result.arms.values()
        },
    }
