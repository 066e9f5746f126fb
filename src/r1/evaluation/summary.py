"""Compute an evaluation's figures from judged samples, fresh or read back.

Figures of samples (format, length, checking, truncation, language consistency) are means over all
samples; pass@k and cons@k are means over problems (estimators.py) of the accuracy verdicts alone.
The verdict "correct" decides, never the reward's value: some verifiers give partial credit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from r1.errors import UserError
from r1.evaluation import estimators
from r1.evaluation.estimators import Bools, Floats, Ints
from r1.intervals import Interval
from r1.reflection import self_checks
from r1.types import Outcome, Score, ScoredGroup

ACCURACY, FORMAT, LANGUAGE = "accuracy", "format", "language"


@dataclass(frozen=True, slots=True)
class JudgedSample:
    """One sample for the figures. vote: equal answers share a number, -1 votes not; outcome: None
    if the family has no accuracy reward."""

    outcome: Outcome | None
    vote: int
    num_tokens: int
    truncated: bool
    self_checks: bool
    format: float | None = None
    language: float | None = None


@dataclass(frozen=True, slots=True)
class JudgedProblem:
    """One problem's samples, in the order of their seeds."""

    problem_id: str
    family: str
    samples: list[JudgedSample] = field(default_factory=list)


class ProblemFigures(NamedTuple):
    """The estimates of each problem, shape (P,); NaN where nothing was judged."""

    pass_at_1: Floats
    cons_at_k: Floats


def require_accuracy(names: Container[str]) -> None:
    """Raise UserError unless accuracy is among the names of some problem's rewards."""
    if ACCURACY not in names:
        raise UserError(
            "an evaluation needs the accuracy reward; add accuracy to rewards.weights "
            "(with 0 it is computed and pays nothing)."
        )


def judge(scored: ScoredGroup, votes: Sequence[int]) -> JudgedProblem:
    """Return the judged form of a scored group; votes[g] numbers the answer of sample g."""
    samples = [
        JudgedSample(
            outcome=_outcome(reward.parts.get(ACCURACY)),
            vote=vote,
            num_tokens=len(completion.token_ids),
            truncated=completion.finish_reason == "length",
            self_checks=self_checks(completion.text),
            format=_value(reward.parts.get(FORMAT)),
            language=_value(reward.parts.get(LANGUAGE)),
        )
        for completion, reward, vote in zip(
            scored.group.completions, scored.rewards, votes, strict=True
        )
    ]
    return JudgedProblem(scored.group.problem.id, scored.group.problem.family, samples)


def judged_from_rows(rows: Iterable[Mapping[str, Any]]) -> list[JudgedProblem]:
    """Return `judge` of completions read back: rows of `run_dir.completion_table` with "vote".

    The rows of a problem follow each other, as they are written.
    """
    problems: list[JudgedProblem] = []
    for row in rows:
        if not problems or problems[-1].problem_id != row["problem_id"]:
            problems.append(JudgedProblem(row["problem_id"], row["family"]))
        problems[-1].samples.append(
            JudgedSample(
                outcome=_row_outcome(row),
                vote=row["vote"],
                num_tokens=row["num_tokens"],
                truncated=row["finish_reason"] == "length",
                self_checks=self_checks(row["text"]),
                format=_row_value(row, FORMAT),
                language=_row_value(row, LANGUAGE),
            )
        )
    return problems


def problem_figures(problems: Sequence[JudgedProblem]) -> ProblemFigures:
    """Return pass@1 and cons@k of every problem, for paired comparisons of two runs."""
    correct_PK, judged_PK, vote_PK = _tables(problems)
    return ProblemFigures(
        estimators.pass_at_1(correct_PK, judged_PK),
        estimators.cons_at_k(correct_PK, judged_PK, vote_PK),
    )


def summarise(
    problems: Sequence[JudgedProblem], *, step: int, sampling: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Return the figures of an evaluation as JSON values; None if there are none.

    seed: of the bootstrap. The order of the problems decides nothing but the resampling's draw.
    """
    k = max((len(problem.samples) for problem in problems), default=0)
    samples = [sample for problem in problems for sample in problem.samples]
    correct_PK, judged_PK, _ = _tables(problems)
    judged_P = judged_PK.sum(axis=1)
    figures = problem_figures(problems)
    by_family: dict[str, list[int]] = {}
    for index, problem in enumerate(problems):
        by_family.setdefault(problem.family, []).append(index)
    language = [s.language for s in samples if s.language is not None]
    return {
        "step": step,
        "num_problems": len(problems),
        "k": k,
        **_intervals(figures, list(range(len(problems))), judged_P, seed),
        "pass_at_k": {
            str(n): _finite(_mean(estimators.pass_at_k(correct_PK, judged_PK, n)))
            for n in estimators.powers_of_two(k)
        },
        "format": _finite(_mean([s.format for s in samples if s.format is not None])),
        "mean_length": _finite(_mean([s.num_tokens for s in samples])),
        "self_check_share": _finite(_mean([s.self_checks for s in samples])),
        "truncated": _finite(_mean([s.truncated for s in samples])),
        **({"language_consistency": _finite(_mean(language))} if language else {}),
        "by_family": {
            family: {**_intervals(figures, members, judged_P, seed), "num_problems": len(members)}
            for family, members in sorted(by_family.items())
        },
        "outcomes": _outcome_counts(samples),
        "sampling": sampling,
    }


def _tables(problems: Sequence[JudgedProblem]) -> tuple[Bools, Bools, Ints]:
    """Return correct_PK, judged_PK and vote_PK; missing samples are padded as unjudged."""
    shape = (len(problems), max((len(problem.samples) for problem in problems), default=0))
    correct_PK, judged_PK = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    vote_PK = np.full(shape, estimators.NO_VOTE, dtype=np.int64)
    for p, problem in enumerate(problems):
        for k, sample in enumerate(problem.samples):
            correct_PK[p, k] = sample.outcome == Outcome.CORRECT
            judged_PK[p, k] = sample.outcome is not None and sample.outcome.is_verdict
            vote_PK[p, k] = sample.vote
    return correct_PK, judged_PK, vote_PK


def _intervals(
    figures: ProblemFigures, members: list[int], judged_P: Ints, seed: int
) -> dict[str, Any]:
    """Return pass@1, a mean over judged samples, and cons@k, one vote a problem."""
    interval_of, num_samples = estimators.interval_of_shares, int(judged_P[members].sum())
    return {
        "pass_at_1": _interval_dict(interval_of(figures.pass_at_1[members], num_samples, seed)),
        "cons_at_k": _interval_dict(interval_of(figures.cons_at_k[members], None, seed)),
    }


def _interval_dict(interval: Interval) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in interval._asdict().items()}


def _outcome_counts(samples: Sequence[JudgedSample]) -> dict[str, int]:
    counts = Counter(sample.outcome for sample in samples)
    return {str(outcome): counts[outcome] for outcome in Outcome}


def _value(score: Any) -> float | None:
    """Return a part's value; None for a part without a verdict."""
    return None if score is None or not score.outcome.is_verdict else float(score.value)


def _outcome(score: Score | None) -> Outcome | None:
    return None if score is None else score.outcome


def _row_outcome(row: Mapping[str, Any]) -> Outcome | None:
    found = row.get(f"outcome/{ACCURACY}")
    return None if found is None else Outcome(found)


def _row_value(row: Mapping[str, Any], part: str) -> float | None:
    outcome = row.get(f"outcome/{part}")
    return row[f"reward/{part}"] if outcome and Outcome(outcome).is_verdict else None


def _mean(values: Any) -> float:
    """Return the mean of the known values; NaN without any."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else math.nan


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
