"""How good the scores of steps are: ranking, first errors, calibration, what else they follow.

AUC is the probability that a right step scores above a wrong one (ties count half), Mann-Whitney.
`auc_within` compares steps of one prompt only: between prompts it is difficulty that is ranked.

First errors as in ProcessBench (2412.06559): a response is right where the first step below 1/2 is
its first wrong one, or none is and none is wrong; F1 is the harmonic mean of the accuracy on faulty
responses and on faultless ones.

Shapes: S steps. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
THRESHOLD = 0.5


class JudgedSteps(NamedTuple):
    """A response: the probability that each step is right, and its label, None where unknown."""

    prompt: str
    probabilities: Sequence[float]
    labels: Sequence[float | None]
    num_tokens: int = 0


def step_figures(responses: Sequence[JudgedSteps]) -> dict[str, Any]:
    """Return auc, auc_within, first errors, where the least score falls, and correlations of it
    with length; JSON values, None where nothing tells."""
    known = [
        (response.prompt, p, float(label >= THRESHOLD))
        for response in responses
        for p, label in zip(response.probabilities, response.labels, strict=True)
        if label is not None
    ]
    score_S = np.array([p for _, p, _ in known], float)
    right_S = np.array([right for _, _, right in known], float)
    scored = [response for response in responses if len(response.probabilities)]
    least = [min(response.probabilities) for response in scored]
    return {
        "num_steps": len(known),
        "steps_right": _mean(right_S),
        "auc": auc(score_S, right_S),
        "auc_within": auc_within([prompt for prompt, _, _ in known], score_S, right_S),
        **first_errors(responses),
        "least_is_last": _mean([int(np.argmin(r.probabilities)) == len(r.probabilities) - 1
                                for r in scored]),
        "least_and_steps": correlation(least, [len(r.probabilities) for r in scored]),
        "least_and_tokens": correlation(least, [r.num_tokens for r in scored]),
    }  # fmt: skip


def auc(score_S: Floats, right_S: Floats) -> float | None:
    """Return the share of (right, wrong) pairs in which the right step scores higher."""
    wins, pairs = _wins(score_S, right_S)
    return wins / pairs if pairs else None


def auc_within(prompts: Sequence[str], score_S: Floats, right_S: Floats) -> float | None:
    """Return the same over pairs of one prompt's steps."""
    number: dict[str, int] = {}
    owner_S = np.array([number.setdefault(prompt, len(number)) for prompt in prompts], int)
    order = np.argsort(owner_S, kind="stable")
    bounds = np.flatnonzero(np.diff(owner_S[order])) + 1
    found = [_wins(score_S[part], right_S[part]) for part in np.split(order, bounds)]
    pairs = sum(pair for _, pair in found)
    return sum(win for win, _ in found) / pairs if pairs else None


def first_errors(responses: Iterable[JudgedSteps]) -> dict[str, Any]:
    """Return the accuracy of the first error on faulty and on faultless responses, and their F1.

    A response with an unknown label before its first wrong step tells nothing.
    """
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for response in responses:
        truth = first_wrong(response.labels)
        if truth is None:
            continue
        found = first_wrong(response.probabilities)
        hits[truth < len(response.labels)].append(found == truth)
    faulty, faultless = _mean(hits[True]), _mean(hits[False])
    f1 = None
    if faulty is not None and faultless is not None:
        total = faulty + faultless
        f1 = 2 * faulty * faultless / total if total else 0.0
    return {
        "num_faulty": len(hits[True]),
        "num_faultless": len(hits[False]),
        "first_error_accuracy": faulty,
        "faultless_accuracy": faultless,
        "f1": f1,
    }


def first_wrong(values: Sequence[float | None]) -> int | None:
    """Return the index of the first value below 1/2, their number if there is none; None where an
    unknown one comes first."""
    for index, value in enumerate(values):
        if value is None:
            return None
        if value < THRESHOLD:
            return index
    return len(values)


def correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Pearson's correlation; None where one of them does not vary."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _wins(score_S: Floats, right_S: Floats) -> tuple[float, int]:
    """Return how many pairs the right one wins, by the sum of ranks, and the pairs."""
    good = right_S > THRESHOLD
    num_good, num_bad = int(good.sum()), int((~good).sum())
    if not num_good or not num_bad:
        return 0.0, 0
    _, inverse, counts = np.unique(score_S, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank_S = (last - (counts - 1) / 2)[inverse]
    wins = float(rank_S[good].sum()) - num_good * (num_good + 1) / 2
    return wins, num_good * num_bad


def _mean(values: Any) -> float | None:
    return float(np.mean(values)) if len(values) else None
