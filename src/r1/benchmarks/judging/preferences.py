"""AlpacaEval's figures from preferences: win rates, plain and length-controlled, and lengths.

The length-controlled rate needs MIN_QUESTIONS; with fewer the score is the plain win rate, and the
result says so. Intervals resample questions; the length-controlled rate is fitted anew for each
resample, with the length term's spread as of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from r1.benchmarks.judging.length_control import (
    MIN_QUESTIONS,
    fit_length_control,
    length_term,
)
from r1.benchmarks.judging.logistic import Floats
from r1.benchmarks.judging.protocol import Tally
from r1.intervals import CONFIDENCE, Interval, share_interval, widened

NUM_REFITS = 300


class AlpacaRow(NamedTuple):
    """One response. preference: for the model, in [0, 1]; None: no verdict, left out.

    baseline_chars, model_chars: lengths of what the judge saw. difficulty: the instruction's; None:
    not known, and nothing is controlled. first: the preference for the answer shown first; None
    where none was asked.
    """

    question: str
    preference: float | None
    baseline_chars: int
    model_chars: int
    difficulty: float | None = None
    first: float | None = None


def tally(rows: Sequence[AlpacaRow]) -> Tally:
    """The figures of all responses; the score is the length-controlled rate where it is known and
    there are questions enough."""
    judged = [row for row in rows if row.preference is not None]
    p_N = np.array([row.preference for row in judged], dtype=np.float64)
    first = [row.first for row in judged if row.first is not None]
    means = _means(judged, p_N)
    plain = share_interval(means, num_samples=len(judged))
    enough = len(means) >= MIN_QUESTIONS
    controlled = controlled_win_rate(rows) if enough else None
    controlled = controlled and widened(controlled, means, len(judged))
    figures = {
        "win rate": plain and plain.value,
        "standard error": standard_error(p_N),
        "discrete win rate": _mean((p_N > 0.5) + 0.5 * (p_N == 0.5)),
        "first answer preferred": _mean(np.array(first)),
    }
    lengths = np.array([row.model_chars for row in judged], dtype=np.float64)
    counts = {"judged": float(len(judged)), "mean characters": _mean(lengths) or 0.0}
    known = all(row.difficulty is not None for row in rows)
    told = f"the plain win rate: lengths are controlled from {MIN_QUESTIONS} judged questions on"
    departures = (told,) if known and not enough else ()
    return Tally(controlled or plain, figures, counts=counts, departures=departures)


def standard_error(p_N: Floats) -> float | None:
    """The standard deviation over the root of N, as the leaderboard has it."""
    return float(p_N.std(ddof=1) / np.sqrt(p_N.size)) if p_N.size > 1 else None


def controlled_win_rate(rows: Sequence[AlpacaRow]) -> Interval | None:
    """The length-controlled win rate by a fit to the rows; None without difficulties or verdicts.

    The prediction is over the instructions of all rows, those without a verdict too.
    """
    judged = [row for row in rows if row.preference is not None]
    if not judged or any(row.difficulty is None for row in rows):
        return None
    questions = {row.question: i for i, row in enumerate(rows)}
    places = {question: i for i, question in enumerate(questions)}
    difficulty_Q = np.array([rows[i].difficulty for i in questions.values()], dtype=np.float64)
    place_N = np.array([places[row.question] for row in judged])
    length_N = length_term(
        [row.baseline_chars for row in judged], [row.model_chars for row in judged]
    )
    p_N = np.array([row.preference for row in judged])

    def rate(count_Q: Floats) -> float:
        fitted = fit_length_control(length_N, difficulty_Q[place_N], p_N, count_Q[place_N])
        return fitted.win_rate(difficulty_Q, count_Q)

    generator = np.random.Generator(np.random.PCG64(0))
    even = np.full(len(places), 1.0 / len(places))
    draws = generator.multinomial(len(places), even, size=NUM_REFITS).astype(np.float64)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile([rate(count_Q) for count_Q in draws], [tail, 1.0 - tail])
    return Interval(rate(np.ones(len(places))), float(low), float(high))


def _means(rows: Sequence[AlpacaRow], p_N: Floats) -> list[float]:
    """The mean preference of each question."""
    by_question: dict[str, list[float]] = {}
    for row, p in zip(rows, p_N, strict=True):
        by_question.setdefault(row.question, []).append(float(p))
    return [sum(each) / len(each) for each in by_question.values()]


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None
