"""Per-problem figures, from the completions of an evaluation.

    figure of a problem = mean over its samples that have a verdict

Problems are the unit of every interval. Language is that of the samples that think, as in the
evaluation. Of the texts only the thinking is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from r1.report.pipeline.load import EvaluationResults
from r1.run_dir.evaluation import COMPLETIONS
from r1.run_dir.stored import check_columns, read_columns
from r1.types import Outcome

_METRICS = {"manners_helpful": "rule_helpful", "manners_harmless": "rule_harmless"}
"""Parts of the reward whose figure has another name."""
_VERDICTS = [str(outcome) for outcome in Outcome if outcome.is_verdict]


@dataclass(frozen=True, slots=True)
class ProblemTable:
    """Figures: values[metric][problem id]. general: problems without a right answer. unjudged: the
    share of the samples with a rule for the answer on which the verifier gave no verdict."""

    values: Mapping[str, Mapping[str, float]]
    families: Mapping[str, str]
    general: frozenset[str]
    unjudged: float = 0.0

    def of(self, metric: str, scope: str = "reasoning") -> dict[str, float]:
        """Return a metric of "reasoning" or "general" problems, or of one family."""
        found = self.values.get(metric, {})
        if scope in ("reasoning", "general"):
            wanted = scope == "general"
            return {name: v for name, v in found.items() if (name in self.general) == wanted}
        return {name: v for name, v in found.items() if self.families[name] == scope}

    def ids(self, scope: str = "reasoning") -> set[str]:
        """Return the problems of a scope, with or without a figure."""
        return set(self.families) - self.general if scope != "general" else set(self.general)


def completions_path(evaluation: EvaluationResults) -> Path:
    """Return the path of an evaluation's table of completions."""
    return evaluation.folder / COMPLETIONS


def read_problems(evaluation: EvaluationResults) -> ProblemTable | None:
    """Return every problem's figures; None if the completions were not kept.

    Raises UserError for a damaged file.
    """
    path = completions_path(evaluation)
    return read_problem_table(path, set(evaluation.families)) if path.is_file() else None


def read_problem_table(path: Path, reasoning: set[str] | None = None) -> ProblemTable:
    """Return the figures of the problems in a table of completions.

    reasoning: families with a right answer; by default all. Raises UserError for a damaged file.
    """
    parts = [f"{what}/{part}" for part in check_columns(path) for what in ("reward", "outcome")]
    table = read_columns(path, ["problem_id", "family", "num_tokens", "thinking", *parts])
    return figures_of(table, set(table["family"].to_pylist()) if reasoning is None else reasoning)


def figures_of(table: pa.Table, reasoning: set[str]) -> ProblemTable:
    """Return the figures of a table's problems. reasoning: families with a right answer."""
    ids, first, owner = np.unique(
        table["problem_id"].to_numpy(), return_index=True, return_inverse=True
    )
    family_of = table["family"].to_numpy()[first]
    tokens = table["num_tokens"].to_numpy().astype(float)
    unjudged = 0.0
    values = {"mean_length": _means(ids, owner, tokens, np.ones(len(tokens), dtype=bool))}
    for column in table.column_names:
        part = column.removeprefix("reward/")
        if part == column or f"outcome/{part}" not in table.column_names:
            continue
        outcome = table[f"outcome/{part}"].to_numpy()
        judged = np.isin(outcome, _VERDICTS)
        if part == "language":
            judged &= outcome != str(Outcome.UNPARSEABLE)  # no word of thinking: in no language
        if part == "accuracy":
            asked = len(outcome) - table[f"outcome/{part}"].null_count  # null: no rule for it
            unjudged = 1.0 - float(judged.sum()) / asked if asked else 0.0
            correct = (outcome == str(Outcome.CORRECT)).astype(float)
            values["pass_at_1"] = _means(ids, owner, correct, judged)
        else:
            score = table[column].to_numpy(zero_copy_only=False).astype(float)
            values[_METRICS.get(part, part)] = _means(ids, owner, score, judged & ~np.isnan(score))
    families = dict(zip(ids.tolist(), family_of.tolist(), strict=True))
    general = frozenset(name for name, family in families.items() if family not in reasoning)
    return ProblemTable(values, families, general, unjudged)


def _means(
    ids: np.ndarray, owner: np.ndarray, value: np.ndarray, judged: np.ndarray
) -> dict[str, float]:
    counts = np.bincount(owner[judged], minlength=len(ids))
    sums = np.bincount(owner[judged], weights=value[judged], minlength=len(ids))
    return {
        str(name): float(total / count)
        for name, total, count in zip(ids, sums, counts, strict=True)
        if count
    }
