"""The figures of one benchmark, from the completions that an evaluation stored.

    score        "accuracy": pass@1, the mean over questions of the share of right samples
                 "f1": the mean over questions of the mean of the verifier's partial credit
    outcomes     shares of all samples: correct · wrong · unreadable · unfinished
                 · verifier failed · engine failed

Unfinished is a sample whose thinking never ended, or that was cut at the token limit before it had
given a right answer; it counts as not right, beside the score, not in silence. A sample without a
verdict (the verifier failed or took too long, or no response ever came) is left out of the score
and shown.

Every question must have its k samples: a mean over fewer would be another figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1.benchmarks.protocol import Metric
from r1.errors import UserError
from r1.evaluation.blocks import BLOCKS
from r1.evaluation.summary import ACCURACY
from r1.intervals import Interval, share_interval
from r1.rewards.reading import after_thinking
from r1.run_dir.stored import iterate_judged
from r1.types import FAILED, Outcome

OUTCOMES = ("correct", "wrong", "unreadable", "unfinished", "verifier failed", "engine failed")
_VALUE, _OUTCOME = f"reward/{ACCURACY}", f"outcome/{ACCURACY}"
_NAMES = {Outcome.CORRECT: "correct", Outcome.WRONG: "wrong", Outcome.UNPARSEABLE: "unreadable"}

Row = Mapping[str, Any]


class Figures(NamedTuple):
    """score: None where no sample has a verdict. outcomes: shares that sum to 1, by OUTCOMES.

    mean_tokens: of the responses that came. values: question -> what each of its samples that has a
    verdict is worth.
    """

    score: Interval | None
    outcomes: dict[str, float]
    mean_tokens: float
    values: dict[str, list[float]]


def outcome_of(row: Row, opened: bool) -> str:
    """The one of OUTCOMES that a stored sample has; opened: its prompt ended in `<think>`."""
    if row["finish_reason"] == FAILED:
        return "engine failed"
    outcome = Outcome(row[_OUTCOME])
    cut = row["finish_reason"] == "length"
    never_ended = after_thinking(row["text"], opened) is None
    if outcome != Outcome.CORRECT and outcome.is_verdict and (cut or never_ended):
        return "unfinished"
    return _NAMES.get(outcome, "verifier failed")


def figures_of(folder: Path, ids: Iterable[str], k: int, metric: Metric, opened: bool) -> Figures:
    """Read an evaluation's folder; ids: the questions, of each of which there must be k samples.

    Raises UserError where a question or a sample is missing, or a file is damaged.
    """
    expected = dict.fromkeys(ids, k)
    paths = sorted((folder / BLOCKS).glob("*.parquet"))
    rows = (row for path in paths for row in iterate_judged(path))
    found, samples = count(rows, expected, metric, opened)
    if samples != expected:
        raise UserError(
            f"{folder}: not every question has {k} samples, and no other question has any; "
            "remove the folder and run the benchmark again."
        )
    return found


def count(
    rows: Iterable[Row], ids: Iterable[str], metric: Metric, opened: bool
) -> tuple[Figures, Counter[str]]:
    """The figures of stored samples, and how many samples each question has.

    ids: the questions in their order; others follow as they come.
    """
    values: dict[str, list[float]] = {identity: [] for identity in ids}
    samples, outcomes, tokens = Counter[str](), Counter[str](), 0
    for row in rows:
        samples[row["problem_id"]] += 1
        outcomes[outcome_of(row, opened)] += 1
        tokens += row["num_tokens"]
        worth = values.setdefault(row["problem_id"], [])
        if Outcome(row[_OUTCOME]).is_verdict:
            worth.append(_value(row, metric))
    total = samples.total()
    means = [float(np.mean(each)) if each else np.nan for each in values.values()]
    shares = {name: outcomes[name] / max(1, total) for name in OUTCOMES}
    mean_tokens = tokens / max(1, total - outcomes["engine failed"])
    num_judged = sum(map(len, values.values()))
    score = share_interval(means, num_samples=num_judged)
    return Figures(score, shares, mean_tokens, values), samples


def _value(row: Row, metric: Metric) -> float:
    """The verdict decides an accuracy, whatever the verifier pays."""
    return float(row[_VALUE]) if metric == "f1" else float(row[_OUTCOME] == Outcome.CORRECT)
