"""How good a reward model's scores are: accuracy with an interval, and how well it is calibrated.

    pair     p = sigmoid(r_chosen - r_rejected)   right where p > 1/2; a tie counts half
    label    p = sigmoid(r)                       right where p > 1/2 just if the label is positive

Reliability (DeGroot and Fienberg 1983; expected calibration error: Guo et al., arXiv 1706.04599):
pairs have no side of their own, so p is turned to the side the model prefers, c = max(p, 1 - p) in
[1/2, 1], and a bin compares the mean c with the share that was right; labelled responses and steps
are binned by p in [0, 1] against the share that is positive. The error is the mean gap, weighted by
the bins.

Shapes: E examples, B bins. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from r1.preferences.agreement import accuracies
from r1.preferences.examples import PreferenceExample
from r1.preferences.types import Pair
from r1.steps.measure import JudgedSteps, step_figures

Floats = npt.NDArray[np.float64]
NUM_BINS = 10


class Judged(NamedTuple):
    """right_E: 1, 0 or (a tie) 1/2; probability_E: of what was preferred, or of the label being
    positive; outcome_E: 1 for every pair, else the label."""

    right_E: Floats
    probability_E: Floats
    outcome_E: Floats


def summarise(
    examples: Sequence[PreferenceExample], scores: Sequence[Sequence[float]], seed: int = 0
) -> dict[str, Any]:
    """Everything an evaluation says, JSON-serialisable.

    loss (nats, without margins), accuracy {value, low, high}, calibration {bins, ece}, brier, the
    scores' statistics, accuracy by language, by family and by which response is the longer one
    (pairs), and the correlation of score and length.
    """
    if examples[0].ends:
        return summarise_steps(examples, scores, seed)
    pairwise = isinstance(examples[0].source, Pair)
    judged = judge(examples, scores)
    likely_E = np.where(judged.outcome_E > 0.5, judged.probability_E, 1 - judged.probability_E)
    lengths = np.array([len(ids) for example in examples for ids in example.responses], float)
    flat = np.array([value for values in scores for value in values], float)
    return {
        "objective": "pairwise" if pairwise else "pointwise",
        "loss": float(-np.log(np.maximum(likely_E, 1e-300)).mean()),
        **accuracies(examples, judged.right_E, seed),
        "brier": float(((judged.probability_E - judged.outcome_E) ** 2).mean()),
        "calibration": calibration(judged, pairwise),
        "scores": statistics(flat),
        "length_correlation": _correlation(flat, lengths),
    }


def summarise_steps(
    examples: Sequence[PreferenceExample], scores: Sequence[Sequence[float]], seed: int = 0
) -> dict[str, Any]:
    """The same of labelled steps, and what r1.steps.measure says of them ("steps")."""
    known = [
        (example, value, float(target >= 0.5))
        for example, values in zip(examples, scores, strict=True)
        for value, target in zip(values, example.targets, strict=True)
        if target == target
    ]
    score_S = np.array([value for _, value, _ in known], float)
    right_S = np.array([right for _, _, right in known], float)
    judged = Judged(((score_S > 0) == (right_S > 0)).astype(float), _sigmoid(score_S), right_S)
    likely_S = np.where(right_S > 0, judged.probability_E, 1 - judged.probability_E)
    responses = [
        JudgedSteps(
            example.source.prompt,
            _sigmoid(np.array(values, float)).tolist(),
            [target if target == target else None for target in example.targets],
            len(example.responses[0]),
        )
        for example, values in zip(examples, scores, strict=True)
    ]
    return {
        "objective": "steps",
        "loss": float(-np.log(np.maximum(likely_S, 1e-300)).mean()),
        **accuracies([example for example, _, _ in known], judged.right_E, seed),
        "brier": float(((judged.probability_E - right_S) ** 2).mean()),
        "calibration": calibration(judged, pairwise=False),
        "scores": statistics(score_S),
        "steps": step_figures(responses),
    }


def judge(examples: Sequence[PreferenceExample], scores: Sequence[Sequence[float]]) -> Judged:
    """Compare scores with what was preferred or labelled."""
    margin, outcome = [], []
    for example, values in zip(examples, scores, strict=True):
        if isinstance(example.source, Pair):
            margin.append(values[0] - values[1])
            outcome.append(1.0)
        else:
            margin.append(values[0])
            outcome.append(example.target)
    margin_E, outcome_E = np.array(margin, float), np.array(outcome, float)
    toward_E = np.where(outcome_E > 0.5, margin_E, -margin_E)
    right_E = np.where(toward_E == 0, 0.5, (toward_E > 0).astype(float))
    return Judged(right_E, _sigmoid(margin_E), outcome_E)


def statistics(score_E: Floats) -> dict[str, float]:
    """Mean, population standard deviation and range; what normalising a reward needs."""
    return {
        "mean": float(score_E.mean()),
        "std": float(score_E.std()),
        "min": float(score_E.min()),
        "max": float(score_E.max()),
    }


def calibration(judged: Judged, pairwise: bool, num_bins: int = NUM_BINS) -> dict[str, Any]:
    """Reliability bins {low, high, num, predicted, observed} (empty ones left out) and ece.

    Pairs: predicted is the mean confidence of the preferred side, observed the share right (a tie
    counts half). Labels: predicted is the mean probability, observed the share positive.
    """
    if pairwise:
        predicted_E, observed_E, low = _confidence(judged.probability_E), judged.right_E, 0.5
    else:
        predicted_E, observed_E, low = judged.probability_E, judged.outcome_E, 0.0
    edges = np.linspace(low, 1.0, num_bins + 1)
    bin_E = np.clip(np.searchsorted(edges, predicted_E, side="right") - 1, 0, num_bins - 1)
    bins, ece = [], 0.0
    for b in range(num_bins):
        inside = bin_E == b
        if not inside.any():
            continue
        predicted, observed = float(predicted_E[inside].mean()), float(observed_E[inside].mean())
        ece += abs(predicted - observed) * float(inside.mean())
        bins.append(
            {
                "low": float(edges[b]),
                "high": float(edges[b + 1]),
                "num": int(inside.sum()),
                "predicted": predicted,
                "observed": observed,
            }
        )
    return {"bins": bins, "ece": ece}


def _confidence(probability_E: Floats) -> Floats:
    return np.maximum(probability_E, 1.0 - probability_E)


def _sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -x))


def _correlation(score_E: Floats, length_E: Floats) -> float | None:
    if len(score_E) < 2 or score_E.std() == 0 or length_E.std() == 0:
        return None
    return float(np.corrcoef(score_E, length_E)[0, 1])
