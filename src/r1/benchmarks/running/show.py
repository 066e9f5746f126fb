"""Tables of benchmarks for the terminal: a list, and results beside the paper's figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.benchmarks.judging.show import show_judged
from r1.benchmarks.protocol import RESULT, Benchmark, find
from r1.benchmarks.registry import benchmarks
from r1.benchmarks.running.choose import NO_DATA
from r1.benchmarks.running.figures import OUTCOMES
from r1.benchmarks.running.parts import show_parts
from r1.benchmarks.running.shapes import StoredResult
from r1.errors import UserError
from r1.evaluation.pretty import format_interval
from r1.files.shapes import read_json

PAPER = {"o1": "o1-1217", "V3": "DeepSeek-V3", "Zero": "R1-Zero", "R1": "R1"}
"""The columns of the paper that stand beside a model, by their heads."""
MANY_UNFINISHED = 0.9
"""Share of unfinished samples above which a model is taken for one that does not think."""
_FAILURES = {"verifier failed": "no verdict", "engine failed": "no reply"}
"""The heads of outcomes that are shown only where they happened."""
_NO_INTERVAL: dict[str, float | None] = {"value": None, "low": None, "high": None}


def show_list(
    console: Console, known: Sequence[Benchmark], data: Path | None, sources: bool = False
) -> None:
    """Print benchmarks: what they measure and need, and whether their data are found in `data`.

    sources: also which data were found, and where those that were not are to be had.
    """
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for name in ("name", "questions", "k", "metric", "data", "measures"):
        justify: Literal["left", "right"] = "right" if name in ("questions", "k") else "left"
        table.add_column(name, justify=justify, no_wrap=name != "measures")
    places = [find(benchmark, data or NO_DATA) for benchmark in known]
    for benchmark, found in zip(known, places, strict=True):
        table.add_row(
            benchmark.name,
            f"{benchmark.num_questions:,}",
            str(benchmark.k),
            benchmark.metric,
            "found" if found else "missing" if data else "-",
            benchmark.measures + _needs(benchmark),
        )
    console.print(table)
    if not sources:
        console.print(Text("`r1 bench list NAME` tells which files a benchmark reads, and whence."))
        return
    for benchmark, found in zip(known, places, strict=True):
        files = " and ".join(benchmark.layouts[0].files)
        wanted = f"put {files} into DATA/{benchmark.folder}. From {benchmark.data}."
        told = f"found: {found.layout.name}" if found else wanted
        console.print(Text(f"{benchmark.name}: {told}"), soft_wrap=True)


def _needs(benchmark: Benchmark) -> str:
    if benchmark.judging is None:
        return f"; needs {benchmark.needs}" if benchmark.needs else ""
    log_probabilities = " with log-probabilities" if benchmark.judging.first_token else ""
    return f"; needs a judge{log_probabilities}"


def show_results(console: Console, out: Path) -> None:
    """Print the results in a folder of `r1 bench run`. Raises UserError where there are none."""
    results = read_results(out)
    known = benchmarks()
    k = {result["k"] for result in results.values()}
    voted = f"cons@{k.pop() if len(k) == 1 else 'k'}"
    scores = figures_table("benchmark", "asked", "score", voted, *PAPER)
    for name, result in results.items():
        scores.add_row(*_scores(result, _published(known.get(name), result)))
    models = ", ".join(sorted({result["model"] for result in results.values()}))
    console.print(Text(f"{models}, in per cent, with 95 % intervals"))
    console.print(scores)
    console.print(_outcome_table(results))
    show_judged(console, results)
    show_parts(console, results)
    for name, result in results.items():
        for line in (result.get("further") or {}).get("told", ()):
            console.print(Text(f"{name}: {line}"), soft_wrap=True)
        if notes := _notes(result):
            console.print(Text(f"{name}: {notes}"), soft_wrap=True)
    if advice := _advice(results.values()):
        console.print(Text(advice), soft_wrap=True)
    console.print(Text("The paper's figures are of full sets under its own protocol."))


def _published(benchmark: Benchmark | None, result: Mapping[str, Any]) -> Mapping[str, float]:
    """The paper's figures, where the result is of its set."""
    return benchmark.published_for(result["layout"]) if benchmark else {}


def _advice(results: Collection[Mapping[str, Any]]) -> str:
    """What to try where hardly a sample ends its thinking; "" elsewhere."""
    open_ended = [
        result
        for result in results
        if result.get("begins_with_think")
        and result["outcomes"].get("unfinished", 0.0) > MANY_UNFINISHED
    ]
    if not open_ended:
        return ""
    return (
        f"In {len(open_ended)} of {len(results)} benchmarks hardly a sample ends its thinking: "
        "raise --max-new-tokens, or ask a model that does not think with --no-think."
    )


def _outcome_table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """How samples ended; what never happened but for right, wrong and unfinished is left out."""
    shown = [
        outcome
        for outcome in OUTCOMES
        if outcome not in _FAILURES or any(r["outcomes"].get(outcome) for r in results.values())
    ]
    table = figures_table(
        "samples", *(_FAILURES.get(outcome, outcome) for outcome in shown), "tokens"
    )
    for result in results.values():
        shares = (percent(result["outcomes"].get(outcome, 0.0)) for outcome in shown)
        table.add_row(result["title"], *shares, f"{result['mean_tokens']:,.0f}")
    return table


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """The results in a folder by benchmark. Raises UserError where there are none, or a damaged
    one."""
    paths = sorted(out.glob(f"*/{RESULT}"))
    results = {path.parent.name: read_json(path, shape=StoredResult) for path in paths}
    if not results:
        raise UserError(f"{out} holds no result; give the --out of `r1 bench run`.")
    return results


def figures_table(*columns: str, num_names: int = 1) -> Table:
    """A table that fits into 80 columns: the first columns are names, to the left; the others
    figures, to the right."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place >= num_names else "left", no_wrap=True)
    return table


def _scores(result: Mapping[str, Any], published: Mapping[str, float]) -> list[str]:
    told = result.get("cons_at_k") or {}
    voted = told.get("value") if result["metric"] == "accuracy" else None
    return [
        result["title"] + (" (F1)" if result["metric"] == "f1" else ""),
        f"{result['num_questions']:,}",
        format_interval(result["score"] or _NO_INTERVAL),
        "-" if voted is None else percent(voted),
        *(f"{published[name]:.1f}" if name in published else "-" for name in PAPER.values()),
    ]


def percent(share: float) -> str:
    """A share with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def _notes(result: Mapping[str, Any]) -> str:
    """What else decides the figure: the rows read and refused, departures from the paper."""
    refused = sum(result["refused"].values())
    parts = [result["layout"], *result["departures"]]
    return "; ".join([*parts, *([f"{refused:,} rows refused"] if refused else [])])
