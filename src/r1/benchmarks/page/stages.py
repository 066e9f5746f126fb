"""A pipeline's stages that measured a checkpoint, as models with results of benchmarks.

kind = "benchmarks"    STAGE/NAME/benchmark.json, as `r1 bench run` writes them
kind = "evaluation"    STAGE/completions.parquet: its reasoning problems are one benchmark, whose
                       parts are the families
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from r1.benchmarks.page.order import grouped
from r1.benchmarks.page.parts import parts_table
from r1.benchmarks.page.results import ModelResults, rows_of
from r1.benchmarks.page.tables import outcome_table, paper_table, protocol_table
from r1.benchmarks.protocol import RESULT as BENCHMARK
from r1.benchmarks.running.against import LEGEND
from r1.benchmarks.running.departures import sampling_departures
from r1.benchmarks.running.figures import OUTCOMES, count
from r1.benchmarks.running.parts import scores_by_part
from r1.benchmarks.running.shapes import StoredResult
from r1.benchmarks.running.show import figures_table, percent
from r1.errors import UserError
from r1.evaluation.pretty import format_interval
from r1.evaluation.summary import ACCURACY
from r1.files.shapes import read_json
from r1.report.pipeline.load import is_pipeline, load_pipeline
from r1.rollout.settings import SamplingSettings
from r1.run_dir.evaluation import COMPLETIONS, RESULT
from r1.run_dir.shapes import StageEvaluation
from r1.run_dir.stored import check_columns, iterate_judged
from r1.types import Problem

PAPER_STAGES = ("R1-Zero", "R1-Dev1", "R1-Dev2", "R1-Dev3", "R1")
"""The columns of the paper's table of stages (Nature 2025, table 2)."""
PROBLEMS = "problems"
_TITLE = "Held-out problems"


def read_stages(folder: Path) -> list[ModelResults]:
    """The measured checkpoints of a pipeline's folder, in its order; those to come are left out.

    Raises UserError for a damaged file.
    """
    pipeline = load_pipeline(folder)
    found: dict[str, ModelResults] = {}
    for name, stage in pipeline.stages.items():
        if stage.evaluates is None:
            continue
        title, place = pipeline.title(stage.evaluates), folder / name
        earlier = found.get(title, ModelResults(title, place, {}))
        results = {**earlier.results, **_results_of(place, title)}
        if results:
            found[title] = earlier._replace(results=results)
    return list(found.values())


def _results_of(place: Path, title: str) -> dict[str, Any]:
    """The results in a stage's folder, by benchmark."""
    if (place / COMPLETIONS).is_file():
        problems = problems_result(place, title)
        return {} if problems is None else {PROBLEMS: problems}
    paths = sorted(place.glob(f"*/{BENCHMARK}"))
    return {path.parent.name: read_json(path, shape=StoredResult) for path in paths}


def problems_result(place: Path, model: str) -> dict[str, Any] | None:
    """The reasoning problems of an evaluation stage as a result of a benchmark; None where it is
    not done, or asked none. Raises UserError for a damaged file."""
    told = read_json(place / RESULT, shape=StageEvaluation)
    if told is None or ACCURACY not in check_columns(place / COMPLETIONS):
        return None
    judged = f"outcome/{ACCURACY}"
    rows = [row for row in iterate_judged(place / COMPLETIONS) if row[judged] is not None]
    opened = bool(told.get("begins_with_think"))
    figures, samples = count(rows, (), "accuracy", opened)
    if not samples:
        return None
    k = max(samples.values())
    if set(samples.values()) != {k}:
        raise UserError(f"{place / COMPLETIONS}: not every problem has {k} samples; restore it.")
    families = {row["problem_id"]: row["family"] for row in rows}
    problems = [Problem(id, "", None, "", metadata={"family": f}) for id, f in families.items()]
    sampling = SamplingSettings.model_validate(told.get("sampling") or {})
    return {
        "model": model,
        "title": _TITLE,
        "protocol": "the recipe's problems, judged by rule",
        "layout": "the recipe's sources",
        "metric": "accuracy",
        "k": k,
        "num_questions": len(samples),
        "num_found": len(samples),
        "refused": {},
        "score": figures.score and figures.score._asdict(),
        "cons_at_k": (told.get("overall") or {}).get("cons_at_k"),
        "parts": scores_by_part(problems, figures.values, ("family",)),
        "outcomes": figures.outcomes,
        "mean_tokens": figures.mean_tokens,
        "sampling": sampling.model_dump(mode="json"),
        "begins_with_think": opened,
        "departures": sampling_departures(sampling, opened, None),
    }


def show_stages(console: Console, folder: Path) -> None:
    """Print a line a benchmark and checkpoint. Raises UserError where none was measured."""
    models = read_stages(folder)
    if not models:
        raise UserError(f"{folder}: no stage has measured a checkpoint yet; r1 run carries on.")
    rows = rows_of(models)
    told = [name for name in OUTCOMES if any(_share(model, name) for model in models)]
    scores = figures_table("benchmark", "checkpoint", "asked", "k", "score", "tokens", num_names=2)
    samples = figures_table("samples", "checkpoint", *told, num_names=2)
    for name in (name for _, members in grouped(rows) for name in members):
        for model in models:
            if (result := model.results.get(name)) is None:
                continue
            first = (rows[name].title, model.title)
            score = format_interval(result["score"]) if result["score"] else "-"
            asked, tokens = f"{result['num_questions']:,}", f"{result['mean_tokens']:,.0f}"
            scores.add_row(*first, asked, str(result["k"]), score, tokens)
            samples.add_row(*first, *(percent(result["outcomes"].get(n, 0.0)) for n in told))
    console.print(Text("Checkpoints of a run, in per cent, with 95 % intervals"))
    console.print(scores)
    console.print(samples)
    console.print(Text(f"r1 report {folder} draws them."), soft_wrap=True)


def _share(model: ModelResults, outcome: str) -> bool:
    return any(result["outcomes"].get(outcome) for result in model.results.values())


def stages_section(folder: Path) -> str:
    """The part of a pipeline's report that shows its stages as benchmarks do; "" without any."""
    models = read_stages(folder) if is_pipeline(folder) else []
    if not models:
        return ""
    rows = rows_of(models)
    parts = parts_table(models, rows)
    return (
        '<section id="benchmarks"><h2>Benchmarks</h2><p class="note">Each checkpoint as '
        "<code>r1 bench</code> counts: a sample that ends before its answer is unfinished, one "
        "whose answer cannot be read unreadable; both count as not right. In per cent; the "
        "first columns are the stages of the paper, where it measured the benchmark, and a mark "
        f"stands beside its R1: {escape(LEGEND)}</p>{paper_table(models, rows, PAPER_STAGES)}"
        f"<h3>How samples ended</h3>{outcome_table(models, rows, {})}"
        + (f"<details><summary>Parts</summary>{parts}</details>" if parts else "")
        + f"<details><summary>Protocol</summary>{protocol_table(models, rows)}</details></section>"
    )
