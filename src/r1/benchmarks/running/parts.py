"""A benchmark's score in parts: by language, by difficulty, by month.

A part's score is the mean over its questions of the mean over their samples; questions without a
verdict are left out. The plain mean of parts weighs each part alike, however many questions it has;
its interval draws questions anew within every part. Where few questions inform it, G parts of P_g
questions count as G^2 / sum(1 / P_g) independent ones (Kish 1965: the mean has that variance if all
parts are equally hard).

Shapes: P questions, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from r1.evaluation.pretty import format_interval
from r1.intervals import CONFIDENCE, Interval, resampled_means, share_interval, widened
from r1.types import Problem

Values = Mapping[str, Sequence[float]]
"""Question -> what each of its samples that has a verdict is worth."""


def scores_by_part(
    problems: Sequence[Problem], values: Values, keys: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Key of the metadata -> part -> the number of questions and their score with its interval."""
    return {
        key: {
            part: {
                "num_questions": mean_P.size,
                "score": (score := share_interval(mean_P)) and score._asdict(),
            }
            for part, mean_P in _by_part(problems, values, key).items()
        }
        for key in keys
    }


def mean_of_parts(problems: Sequence[Problem], values: Values, key: str) -> Interval | None:
    """The plain mean of the parts' scores; None without a key, or where a part has no verdict."""
    if not key:
        return None
    known = [mean_P[~np.isnan(mean_P)] for mean_P in _by_part(problems, values, key).values()]
    if not all(mean_P.size for mean_P in known):
        return None
    parts_R = [resampled_means(mean_P, seed=seed) for seed, mean_P in enumerate(known)]
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(np.mean(parts_R, axis=0), [tail, 1.0 - tail])
    value = float(np.mean([mean_P.mean() for mean_P in known]))
    worth = len(known) ** 2 / sum(1.0 / mean_P.size for mean_P in known)
    return widened(Interval(value, float(low), float(high)), np.concatenate(known), worth)


def _by_part(
    problems: Sequence[Problem], values: Values, key: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Part -> the means of its questions (P,), NaN where a question has no verdict; sorted."""
    parts: dict[str, list[float]] = {}
    for problem in problems:
        worth = values[problem.id]
        mean = float(np.mean(worth)) if worth else np.nan
        parts.setdefault(str(problem.metadata[key]), []).append(mean)
    return {part: np.array(parts[part]) for part in sorted(parts)}


def show_parts(console: Console, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the parts of every result that has some."""
    table = Table(box=SIMPLE)
    for name in ("benchmark", "part", "asked", "score"):
        table.add_column(name, justify="left" if name in ("benchmark", "part") else "right")
    for result in results.values():
        for parts in (result.get("parts") or {}).values():
            for part, told in parts.items():
                score = told["score"] and format_interval(told["score"])
                table.add_row(result["title"], part, str(told["num_questions"]), score or "-")
    if table.row_count:
        console.print(table)
