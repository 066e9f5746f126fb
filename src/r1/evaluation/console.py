"""Show an evaluation in the terminal: its progress, and some of the judged samples.

If output goes to a file, progress is an occasional plain line instead of a bar.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from r1.evaluation.summary import ACCURACY, JudgedProblem, problem_figures
from r1.files.shapes import read_json
from r1.run_dir import read
from r1.run_dir.evaluation import BLOCKS, COMPLETIONS, outcomes_line
from r1.run_dir.shapes import PipelineFile
from r1.run_dir.stored import read_completions
from r1.terminal import one_line

NUM_SAMPLES, MAX_CHARS = 3, 240
LINE_EVERY_S = 10.0

OnProblem = Callable[[JudgedProblem], None]


@contextmanager
def show_progress(console: Console, num_problems: int) -> Iterator[OnProblem]:
    """Show problems done, pass@1 so far and the time left; return a callback for each problem."""
    judged: list[float] = []

    def figure(problem: JudgedProblem) -> str:
        (value,) = problem_figures([problem]).pass_at_1
        if value == value:  # NaN: no sample of it has a verdict
            judged.append(value)
        return f"pass@1 {sum(judged) / len(judged):.1%}" if judged else ""

    shown = _bar if console.is_terminal else _lines
    with shown(console, num_problems, figure) as on_problem:
        yield on_problem


@contextmanager
def _bar(
    console: Console, num_problems: int, figure: Callable[[JudgedProblem], str]
) -> Iterator[OnProblem]:
    columns = (
        TextColumn("problems"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[figure]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("problems", total=num_problems, figure="")
        yield lambda problem: progress.update(task, advance=1, figure=figure(problem))


@contextmanager
def _lines(
    console: Console, num_problems: int, figure: Callable[[JudgedProblem], str]
) -> Iterator[OnProblem]:
    """Print progress without a terminal: the first problem, the last, and one every few seconds."""
    done, began, told = 0, time.monotonic(), -LINE_EVERY_S

    def on_problem(problem: JudgedProblem) -> None:
        nonlocal done, told
        done += 1
        shown, passed_s = figure(problem), time.monotonic() - began
        if done < num_problems and passed_s - told < LINE_EVERY_S:
            return
        told = passed_s
        left = f"{passed_s / done * (num_problems - done):.0f} s left"
        console.print(f"problems {done}/{num_problems}  {shown}  {left}", highlight=False)

    yield on_problem


def show_samples(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a few completions, of different outcomes where there are: question, end, verdict."""
    for row in _chosen(rows):
        verdict = str(row.get(f"outcome/{ACCURACY}") or "not judged")
        detail = row.get(f"detail/{ACCURACY}")
        head = f"[{verdict}] problem {row['problem_id']}, {row['num_tokens']} tokens"
        lines = [one_line(head, MAX_CHARS), f"  asked: {one_line(row['prompt'], MAX_CHARS)}"]
        lines.append(f"  wrote: {one_line(row['text'], MAX_CHARS, end=True) or '(nothing)'}")
        wanted = row.get("reference")
        if wanted is not None:
            why = f" ({one_line(str(detail), MAX_CHARS)})" if detail else ""
            lines.append(f"  wanted: {one_line(str(wanted), MAX_CHARS)}{why}")
        console.print(Text("\n".join(lines)), soft_wrap=True)


def block_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the completions of an evaluation's first block; none without a block."""
    first = next(iter(sorted((folder / BLOCKS).glob("*.parquet"))), None)
    return [] if first is None else read_completions(first)


def show_end(console: Console, run: Path) -> None:
    """Print the last results of a finished run: counted verdicts and a few samples.

    Of a pipeline those of the last stage that has any.
    """
    told = read_json(run / "pipeline.json", {"stages": []}, PipelineFile)
    for folder in [run, *(run / stage["name"] for stage in reversed(told["stages"]))]:
        rows = run_rows(folder)
        if not rows:
            continue
        if folder != run:
            console.print(Text(f"Last samples, of stage {folder.name}:"), soft_wrap=True)
            counts = Counter(str(row.get(f"outcome/{ACCURACY}") or "not judged") for row in rows)
            cut = sum(row["finish_reason"] == "length" for row in rows) / len(rows)
            console.print(Text(f"  {outcomes_line(counts, cut)}"), soft_wrap=True)
        show_samples(console, rows)
        return


def run_rows(run: Path) -> list[dict[str, Any]]:
    """Return the completions of a run's last evaluation, else of its last training step, or of an
    evaluation stage; none for a folder without any."""
    evaluated = read.read_evaluations(run)
    rows = read.read_evaluation_completions(run, evaluated[-1]["step"]) if evaluated else []
    steps = read.rollout_steps(run)
    if not rows and (run / COMPLETIONS).is_file():
        return read_completions(run / COMPLETIONS)
    return rows or (read.read_rollouts(run, steps[-1]) if steps else [])


def _chosen(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Choose one sample of each outcome first, then from the beginning."""
    firsts: dict[Any, Mapping[str, Any]] = {}
    for row in rows:
        firsts.setdefault(row.get(f"outcome/{ACCURACY}"), row)
    chosen = list(firsts.values())[:NUM_SAMPLES]
    others = [row for row in rows if all(row is not one for one in chosen)]
    return chosen + others[: NUM_SAMPLES - len(chosen)]
