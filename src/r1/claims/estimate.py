"""How long the stages of claims take: measured where they or their like ran, else estimated.

a stage that ran    its own seconds
another             `r1 plan`'s estimate x median (measured / estimated) of the stages of its
                    kind that ran in this folder (of any kind, where none of its own has)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from r1.claims.arms import ClaimPlan
from r1.claims.measure import cost_of
from r1.pipeline import graph
from r1.pipeline.estimates import estimate_pipeline
from r1.plan.estimate import Given, seconds_of

CPU = Given("CPU", 1)


def estimated_seconds(plan: ClaimPlan) -> dict[str, float]:
    """Return `r1 plan`'s estimates for two cores; stages that it cannot estimate are absent."""
    stages = list(plan.stages.values())
    specs = [
        stage.spec._replace(
            name=stage.name, recipe=type(stage.spec.recipe)(**_settings(stage.table))
        )
        for stage in stages
    ]
    folder = stages[0].base_folder if stages else Path()
    return seconds_of(estimate_pipeline(specs, folder, CPU))


def _settings(table: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in table.items() if key != "kind"}


def stage_seconds(plan: ClaimPlan, out: Path) -> dict[str, float | None]:
    """Return the seconds of every stage; None where nothing is known of it."""
    estimated = estimated_seconds(plan)
    measured = {name: own for name in plan.stages if (own := measured_seconds(out, name))}
    rates: dict[str, list[float]] = {}
    for name, seconds in measured.items():
        if estimated.get(name):
            rates.setdefault(plan.stages[name].spec.kind, []).append(seconds / estimated[name])
    every = [rate for found in rates.values() for rate in found] or [1.0]

    def expected(name: str) -> float | None:
        if name in measured or name not in estimated:
            return measured.get(name)
        return estimated[name] * median(rates.get(plan.stages[name].spec.kind, every))

    return {name: expected(name) for name in plan.stages}


def measured_seconds(out: Path, name: str) -> float | None:
    """Return the seconds of a finished stage, over all calls that a kill may have made of it."""
    marker = graph.read_marker(out, name)
    if marker is None:
        return None
    return max(cost_of(out / name).seconds, float(marker["seconds"]))


def remaining_seconds(plan: ClaimPlan, out: Path) -> tuple[float, int]:
    """Return the seconds of the stages that have not ended, and how many are of unknown length."""
    expected = stage_seconds(plan, out)
    left = [expected[name] for name in plan.stages if graph.read_marker(out, name) is None]
    return sum(seconds or 0.0 for seconds in left), sum(seconds is None for seconds in left)
