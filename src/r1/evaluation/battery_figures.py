"""The figures of a stage's evaluation: means over problems of judged responses, with intervals.

    value of a problem = mean over its samples that have the quantity
    figure             = mean over problems, with an interval over them (r1.intervals)

A quantity that no sample has is left out. Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from r1.evaluation.battery_settings import HARMLESS, HELPFUL
from r1.evaluation.estimators import NO_VOTE, interval_of_shares
from r1.evaluation.summary import FORMAT, LANGUAGE, JudgedProblem, problem_figures
from r1.intervals import Interval, mean_interval, share_interval
from r1.reflection import self_checks
from r1.rewards import manners
from r1.types import Outcome

BatterySample = dict[str, float]
"""A response's quantities by the name of their figure; what it does not have is absent."""

PARTS = {
    "format": FORMAT,
    HELPFUL: HELPFUL,
    HARMLESS: HARMLESS,
    "rule_helpful": manners.HELPFUL,
    "rule_harmless": manners.HARMLESS,
}
"""Figure -> the part of the reward whose value it is."""
SCORES = (HELPFUL, HARMLESS, "mean_length")
"""Figures that are no shares."""
METRICS = (*PARTS, LANGUAGE, "mean_length", "self_check_share")


def sample_of(row: Mapping[str, Any]) -> BatterySample:
    """Return the values of one response from a row of `run_dir.completion_table`."""
    found = {
        metric: row[f"reward/{part}"]
        for metric, part in PARTS.items()
        if (outcome := row.get(f"outcome/{part}")) is not None and Outcome(outcome).is_verdict
    }
    if row.get(f"outcome/{LANGUAGE}") in (Outcome.CORRECT, Outcome.WRONG):
        # Thinking without a word ("x * 3") is in no language.
        found[LANGUAGE] = row[f"reward/{LANGUAGE}"]
    found["mean_length"] = float(row["num_tokens"])
    found["self_check_share"] = float(self_checks(row["text"]))
    return found


def figures(samples: Sequence[Sequence[BatterySample]], seed: int) -> dict[str, Any]:
    """Return figures of samples[p][k], each {"value", "low", "high"}; seed is the bootstrap's."""
    named = {metric: _figure(samples, metric, seed) for metric in METRICS}
    return {metric: interval for metric, interval in named.items() if interval is not None}


def vote_figures(judged: Sequence[JudgedProblem], seed: int) -> dict[str, Any]:
    """Return pass@1, and cons@k if any answers voted."""
    by_problem = problem_figures(judged)
    outcomes = [sample.outcome for problem in judged for sample in problem.samples]
    num_judged = sum(outcome is not None and outcome.is_verdict for outcome in outcomes)
    named = {"pass_at_1": _known(interval_of_shares(by_problem.pass_at_1, num_judged, seed))}
    if any(sample.vote != NO_VOTE for problem in judged for sample in problem.samples):
        named["cons_at_k"] = _known(interval_of_shares(by_problem.cons_at_k, None, seed))
    return {metric: interval for metric, interval in named.items() if interval is not None}


def _figure(
    samples: Sequence[Sequence[BatterySample]], metric: str, seed: int
) -> dict[str, float] | None:
    value_P = [_mean(of_problem, metric) for of_problem in samples]
    if metric in SCORES:
        least = 0.0 if metric == "mean_length" else -math.inf
        return _known(mean_interval(value_P, least=least, seed=seed))
    num_samples = sum(metric in sample for of_problem in samples for sample in of_problem)
    return _known(share_interval(value_P, num_samples=num_samples, seed=seed))


def _mean(samples: Sequence[BatterySample], metric: str) -> float:
    known = [sample[metric] for sample in samples if metric in sample]
    return float(np.mean(known)) if known else math.nan


def _known(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None or math.isnan(interval.value) else interval._asdict()
