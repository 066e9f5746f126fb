"""What stored samples say beyond the score: accuracy at every smaller token limit, and tokens.

    A(c) = mean over questions of the mean over judged samples of worth x [tokens <= c]

A sample longer than the limit c would have been cut, so it counts as unfinished: A(c) at the limit
that the samples were drawn with is the score. It is also the curve of test-time compute. A judged
benchmark's curve is made with its score (r1.benchmarks.judging.judge): win rates are no means.

Shapes: N samples, Q questions, C limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from r1.benchmarks.caps import caps_up_to
from r1.benchmarks.protocol import Metric
from r1.evaluation.summary import ACCURACY
from r1.run_dir.evaluation import block_files
from r1.run_dir.stored import read_columns
from r1.types import FAILED, Outcome

_OUTCOME, _VALUE = f"outcome/{ACCURACY}", f"reward/{ACCURACY}"
_VERDICTS = [str(outcome) for outcome in Outcome if outcome.is_verdict]

Floats = npt.NDArray[np.float64]


class WeighedSamples(NamedTuple):
    """The samples of one benchmark that came: tokens, worth (NaN without a verdict), and the number
    of the question."""

    tokens_N: npt.NDArray[np.int64]
    worth_N: Floats
    question_N: npt.NDArray[np.int64]


class CapCurve(NamedTuple):
    """Accuracy at limits, ascending; the last limit is that of the samples."""

    caps_C: list[int]
    accuracy_C: list[float]


class TokenFigures(NamedTuple):
    """Tokens of a response."""

    mean: float
    median: float
    most: float
    """So many at most in nine of ten."""


def read_samples(folder: Path, metric: Metric) -> WeighedSamples:
    """Read the blocks of a benchmark's folder. Raises UserError for a damaged file."""
    ids: list[str] = []
    tokens: list[npt.NDArray[np.int64]] = []
    worth: list[Floats] = []
    for path in block_files(folder):
        columns = ["problem_id", "num_tokens", "finish_reason", _OUTCOME, _VALUE]
        table = read_columns(path, columns)
        table = table.filter(table["finish_reason"].to_numpy() != FAILED)
        outcome = table[_OUTCOME].to_numpy().astype(str)
        value = table[_VALUE].to_numpy().astype(np.float64)
        right = value if metric == "f1" else (outcome == Outcome.CORRECT).astype(np.float64)
        worth.append(np.where(np.isin(outcome, _VERDICTS), right, np.nan))
        tokens.append(table["num_tokens"].to_numpy().astype(np.int64))
        ids += table["problem_id"].to_pylist()
    _, question_N = np.unique(np.array(ids, dtype=str), return_inverse=True)
    empty: list[Any] = [np.zeros(0)]
    return WeighedSamples(
        np.concatenate(tokens or empty).astype(np.int64), np.concatenate(worth or empty), question_N
    )


def cap_curve(samples: WeighedSamples, limit: int) -> CapCurve | None:
    """Accuracy at the powers of two up to the samples' limit, and at it; None without a verdict."""
    judged_N = ~np.isnan(samples.worth_N)
    if not judged_N.any():
        return None
    tokens_N, worth_N = samples.tokens_N[judged_N], samples.worth_N[judged_N]
    _, question_N = np.unique(samples.question_N[judged_N], return_inverse=True)
    count_Q = np.bincount(question_N)
    caps = caps_up_to(int(tokens_N.min()), limit)
    accuracy = [
        float(np.mean(np.bincount(question_N, worth_N * (tokens_N <= cap)) / count_Q))
        for cap in caps
    ]
    return CapCurve(caps, accuracy)


def judged_curve(caps: Sequence[Sequence[float]], limit: int) -> CapCurve:
    """The curve of a judged benchmark, as its result tells it, drawn on to the samples' limit."""
    known = [(int(cap), score) for cap, score in caps if cap < limit]
    return CapCurve([*(cap for cap, _ in known), limit], [*(s for _, s in known), caps[-1][1]])


def token_figures(samples: WeighedSamples) -> TokenFigures | None:
    """Mean, median and 90th percentile; None where no response came."""
    if not samples.tokens_N.size:
        return None
    median, most = np.quantile(samples.tokens_N, [0.5, 0.9])
    return TokenFigures(float(samples.tokens_N.mean()), float(median), float(most))
