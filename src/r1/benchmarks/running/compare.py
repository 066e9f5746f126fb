"""`r1 bench compare`: which differences between models over a suite are real.

As `r1 compare` does it (r1.evaluation.compare), with a benchmark for each family: paired over the
questions that both were asked, clustered by question, exact where each has one sample, Holm's
correction over the benchmarks. "all" is the mean over the questions of all benchmarks.

What a sample is worth is the score's own: its verdict, DROP's partial credit, a judge's verdict
(a tied comparison is a half), what a conversation's benchmark tells of each question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1.benchmarks.judging.judge import JUDGEMENTS
from r1.benchmarks.running.show import read_results
from r1.data.jsonl import read_rows
from r1.data.rows import RowError
from r1.errors import UserError
from r1.evaluation.compare import EvaluationComparison, ProblemCounts, compare
from r1.evaluation.stored import StoredEvaluation, read_evaluation
from r1.evaluation.summary import ACCURACY
from r1.run_dir.evaluation import block_files
from r1.run_dir.stored import read_columns
from r1.types import Outcome

_OUTCOME, _VALUE = f"outcome/{ACCURACY}", f"reward/{ACCURACY}"
_TIED, _NO_VERDICT = "tied", {"judge failed", "engine failed"}

Worth = Mapping[str, Sequence[float]]
"""What the samples of a question that have a verdict are worth."""


def compare_suites(
    folders: Sequence[Path],
) -> tuple[list[StoredEvaluation], list[EvaluationComparison]]:
    """Compare the first folder of `r1 bench run` with each of the others.

    Raises UserError where one holds no result, or shares no judged question with the first.
    """
    results = [read_results(folder) for folder in folders]
    shared = [name for name in results[0] if any(name in other for other in results[1:])]
    stored = [
        _suite(folder, {name: found[name] for name in shared if name in found})
        for folder, found in zip(folders, results, strict=True)
    ]
    try:
        return stored, compare(stored[0].counts, [other.counts for other in stored[1:]])
    except ValueError as fault:
        raise UserError(
            f"{folders[0]} and another folder have {fault}; run the same benchmarks with the same "
            "--limit on both."
        ) from None


def _suite(folder: Path, results: Mapping[str, Mapping[str, Any]]) -> StoredEvaluation:
    """All benchmarks of a folder as one evaluation."""
    counts: dict[str, ProblemCounts] = {}
    settings: dict[str, Any] = {}
    for name, result in results.items():
        if (told := result.get("by_question")) is not None:
            settings = settings or {"sampling": result["sampling"], "samples": None}
            counts |= _told(name, result["title"], told)
            continue
        one = read_evaluation(folder / name)
        worth = worth_of_samples(folder / name, result["metric"])
        settings = settings or {**one.settings, "samples": None}
        for identity, each in one.counts.items():
            if worth is not None:
                values = worth.get(identity, ())
                each = each._replace(num_judged=len(values), num_correct=sum(values))
            counts[f"{name} {identity}"] = each._replace(family=result["title"])
    most = max((result["k"] for result in results.values()), default=0)
    return StoredEvaluation(str(folder), counts, most, settings)


def _told(
    name: str, title: str, by_question: Mapping[str, float | None]
) -> dict[str, ProblemCounts]:
    """The questions of conversations, one attempt each; None: it has no verdict."""
    return {
        f"{name} {identity}": ProblemCounts(
            title, (identity, None), 1, int(value is not None), value or 0.0, 0, 0
        )
        for identity, value in by_question.items()
    }


def worth_of_samples(folder: Path, metric: str) -> Worth | None:
    """Read what samples are worth; None where their verdicts say it, which the counts have."""
    if metric == "accuracy":
        return None
    found: defaultdict[str, list[float]] = defaultdict(list)
    for identity, value in _judged(folder) if metric == "judged" else _credited(folder):
        found[identity].append(value)
    return found


def _judged(folder: Path) -> Iterator[tuple[str, float]]:
    """The judge's verdicts on every sample. Raises UserError for a damaged file."""
    path = folder / JUDGEMENTS
    if not path.is_file():
        raise UserError(f"{path} does not exist; give the same r1 bench run again.")
    for number, row in read_rows(path):
        if isinstance(row, RowError) or not all(
            isinstance(row.get(name), str) for name in ("problem_id", "outcome")
        ):
            raise UserError(f"{path}: row {number} is no judgement; restore the file.")
        outcome = row["outcome"]
        if outcome not in _NO_VERDICT:
            yield row["problem_id"], 0.5 if outcome == _TIED else float(outcome == "correct")


def _credited(folder: Path) -> Iterator[tuple[str, float]]:
    """The partial credit of every sample with a verdict."""
    for path in block_files(folder):
        table = read_columns(path, ["problem_id", _OUTCOME, _VALUE])
        columns = (table[name].to_pylist() for name in ("problem_id", _OUTCOME, _VALUE))
        for identity, outcome, value in zip(*columns, strict=True):
            if Outcome(outcome).is_verdict:
                yield identity, float(value)
