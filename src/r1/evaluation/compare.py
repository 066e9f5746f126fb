"""Which differences of pass@1 are real: one evaluation against others, over the same problems.

    d of a problem      = pass@1 of the other - pass@1 of the first      (significance.py)
    better, worse       the corrected p-value is below 0.05, d above or below 0
    not told apart      otherwise: no evidence of a difference, not evidence of none

Problems are paired by id, and only where question and reference are the same too. A sample whose
verifier failed is in no share; a problem without a verdict on one side is left out. Both are
counted. Holm's correction goes over the evaluations compared (for all problems together) and,
separately, over all of their families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from r1.intervals import Interval
from r1.significance import LEVEL, holm, mcnemar, paired_difference


class ProblemCounts(NamedTuple):
    """The samples of one problem. question: prompt and reference; num_judged: with a verdict.

    num_correct: what those are worth together, where some are partly right.
    """

    family: str
    question: tuple[str, str | None]
    num_samples: int
    num_judged: int
    num_correct: float
    num_unfinished: int
    num_unreadable: int

    @property
    def pass_at_1(self) -> float:
        """Share of correct samples among the judged ones; there must be one."""
        return self.num_correct / self.num_judged


Counts = Mapping[str, ProblemCounts]
"""The problems of an evaluation by their id."""


class DifferenceVerdict(StrEnum):
    """Of the other evaluation, beside the first."""

    BETTER = "better"
    WORSE = "worse"
    NOT_TOLD_APART = "not told apart"


class Method(StrEnum):
    """Where a p-value comes from."""

    MCNEMAR = "exact McNemar"
    T = "t over problems"


@dataclass(frozen=True, slots=True)
class MeasuredDifference:
    """One comparison: of all problems together, or of a family.

    difference: other - first; detectable: the smallest true difference that 80 % of repetitions
    would tell at this test's level, uncorrected where it is the only test, else as if it were the
    first that Holm's correction looks at. only_first, only_second: problems that one side alone
    solves, where both have one sample a problem.
    """

    name: str
    num_problems: int
    first: float
    second: float
    difference: Interval
    method: Method
    p: float
    corrected_p: float
    detectable: float
    only_first: int | None = None
    only_second: int | None = None

    @property
    def verdict(self) -> DifferenceVerdict:
        """Better, worse or not told apart, by the corrected p-value."""
        if self.corrected_p >= LEVEL:
            return DifferenceVerdict.NOT_TOLD_APART
        return DifferenceVerdict.BETTER if self.difference.value > 0 else DifferenceVerdict.WORSE


class SideShares(NamedTuple):
    """How the samples of the shared problems ended on one side; shares are of all samples."""

    num_samples: int
    unfinished: float
    unreadable: float
    num_without_verdict: int


class Pairing(NamedTuple):
    """What could be compared, in numbers of problems: in one evaluation only, in both with another
    question or reference, in both but without any verdict on a side."""

    num_paired: int
    only_first: int
    only_second: int
    other_question: int
    without_verdict: int


@dataclass(frozen=True, slots=True)
class EvaluationComparison:
    """One evaluation beside the first. families: [] where there is only one."""

    pairing: Pairing
    shares: tuple[SideShares, SideShares]
    overall: MeasuredDifference
    families: list[MeasuredDifference]


class Paired(NamedTuple):
    """The problems that could be compared, and what is said beside them."""

    ids: list[str]
    pairing: Pairing
    shares: tuple[SideShares, SideShares]


def compare(first: Counts, others: Sequence[Counts]) -> list[EvaluationComparison]:
    """Return what differs between the first evaluation and each of the others, corrected together.

    Raises ValueError where one of them shares no problem with the first that both have judged.
    """
    paired = [pair(first, other) for other in others]
    if any(not found.ids for found in paired):
        raise ValueError("no problem in common that has a verdict on both sides")
    groups = [_families(first, found.ids) for found in paired]
    num_families = sum(map(len, groups))
    wholes = [
        _difference("all", first, other, found.ids, LEVEL / len(others))
        for other, found in zip(others, paired, strict=True)
    ]
    parts = [
        [_difference(name, first, other, ids, LEVEL / num_families) for name, ids in group.items()]
        for other, group in zip(others, groups, strict=True)
    ]
    wholes = _corrected(wholes)
    flat = iter(_corrected([part for group in parts for part in group]))
    return [
        EvaluationComparison(found.pairing, found.shares, whole, [next(flat) for _ in group])
        for found, whole, group in zip(paired, wholes, parts, strict=True)
    ]


def pair(first: Counts, second: Counts) -> Paired:
    """Return the problems that both have judged; ids is [] where there is none."""
    shared = [name for name in first if name in second]
    same = [name for name in shared if first[name].question == second[name].question]
    judged = [name for name in same if first[name].num_judged and second[name].num_judged]
    pairing = Pairing(
        num_paired=len(judged),
        only_first=len(first) - len(shared),
        only_second=len(second) - len(shared),
        other_question=len(shared) - len(same),
        without_verdict=len(same) - len(judged),
    )
    return Paired(judged, pairing, (_shares(first, same), _shares(second, same)))


def _shares(counts: Counts, ids: Sequence[str]) -> SideShares:
    problems = [counts[name] for name in ids]
    num_samples = sum(problem.num_samples for problem in problems)
    return SideShares(
        num_samples,
        sum(problem.num_unfinished for problem in problems) / max(1, num_samples),
        sum(problem.num_unreadable for problem in problems) / max(1, num_samples),
        sum(problem.num_samples - problem.num_judged for problem in problems),
    )


def _families(first: Counts, ids: Sequence[str]) -> dict[str, list[str]]:
    """The problems by family, sorted; {} where there is one family only."""
    found: dict[str, list[str]] = {}
    for name in ids:
        found.setdefault(first[name].family, []).append(name)
    return dict(sorted(found.items())) if len(found) > 1 else {}


def _difference(
    name: str, first: Counts, second: Counts, ids: Sequence[str], level: float
) -> MeasuredDifference:
    sides = [(first[one], second[one]) for one in ids]
    first_P = np.array([side.pass_at_1 for side, _ in sides])
    second_P = np.array([side.pass_at_1 for _, side in sides])
    found = paired_difference(second_P - first_P, _samples_a_problem(sides), level)
    difference = MeasuredDifference(
        name=name,
        num_problems=len(ids),
        first=float(first_P.mean()),
        second=float(second_P.mean()),
        difference=found.interval,
        method=Method.T,
        p=found.p,
        corrected_p=found.p,
        detectable=found.detectable,
    )
    single = all(side.num_judged == 1 for pair in sides for side in pair)
    if not single or not all(side.num_correct in (0, 1) for pair in sides for side in pair):
        return difference
    only_first, only_second = int((first_P > second_P).sum()), int((second_P > first_P).sum())
    return replace(
        difference,
        method=Method.MCNEMAR,
        p=mcnemar(only_first, only_second),
        only_first=only_first,
        only_second=only_second,
    )


def _samples_a_problem(sides: Sequence[tuple[ProblemCounts, ProblemCounts]]) -> float:
    """Judged samples a problem and side: the harmonic mean, since variances go as 1 / k."""
    return 1 / float(np.mean([1 / side.num_judged for pair in sides for side in pair]))


def _corrected(differences: Sequence[MeasuredDifference]) -> list[MeasuredDifference]:
    ps = holm([difference.p for difference in differences])
    return [replace(each, corrected_p=p) for each, p in zip(differences, ps, strict=True)]
