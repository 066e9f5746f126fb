"""`r1 compare`: which differences between evaluations are real."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated

import typer

from r1.errors import UserError
from r1.terminal import terminal_console

if TYPE_CHECKING:
    from r1.evaluation.stored import StoredEvaluation


def compare_command(
    first: Annotated[
        Path,
        typer.Argument(metavar="A", help="An evaluation (a folder of r1 eval), or a run with one"),
    ],
    others: Annotated[
        list[Path], typer.Argument(metavar="B...", help="What to compare with it, one or more")
    ],
    judge: Annotated[
        str | None,
        typer.Option(
            help="Ask which answers are preferred: URL#MODEL, or a TOML file of [rewards.judge] "
            "[default: compare accuracies]"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the judge's replies and figures [default: none, without a judge]"
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Judge so many answers to each problem, of each model")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON")] = False,
) -> None:
    """Tell which differences between evaluations are real: paired by problem, with intervals.

    With --judge: whose answers a language model prefers, for problems that no rule can judge.
    """
    if judge is not None:
        _prefer([first, *others], judge, out, samples, as_json)
        return
    if out is not None or samples != 1:
        raise UserError("--out and --samples belong to a comparison by a judge; give --judge.")
    from r1.evaluation.compare import compare
    from r1.evaluation.compare_show import comparison_json, show_comparisons
    from r1.evaluation.stored import read_evaluation

    paths = [first, *others]
    check_distinct(paths)
    stored = [read_evaluation(path) for path in paths]
    for other in stored[1:]:
        _require_common(stored[0], other)
    found = compare(stored[0].counts, [other.counts for other in stored[1:]])
    if as_json:
        typer.echo(json.dumps(comparison_json(stored, found), indent=2, ensure_ascii=False))
    else:
        show_comparisons(terminal_console(), stored, found)


def _prefer(
    paths: Sequence[Path], given: str, out: Path | None, samples: int, as_json: bool
) -> None:
    """Compare two evaluations by a judge's preference."""
    from r1.evaluation.preference import prefer
    from r1.evaluation.preference_show import show_preference
    from r1.judge.given import read_judge

    check_distinct(paths)
    if len(paths) != 2:
        raise UserError("a judge compares two evaluations; give A and one B.")
    if out is None:
        raise UserError(
            "give --out FOLDER: it keeps the judge's replies, so that none is paid for twice."
        )
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; give a folder.")
    console = terminal_console(stderr=as_json)
    first, other = paths
    figures = prefer(first, other, read_judge(given), out, console, samples)
    if as_json:
        typer.echo(json.dumps(figures, indent=2, ensure_ascii=False))
    else:
        show_preference(console, figures)


def check_distinct(paths: Sequence[Path]) -> None:
    """Raise UserError unless there are two or more, each given once, and a letter for each."""
    if len(paths) < 2:
        raise UserError(f"{paths[0]} alone cannot be compared; give two evaluations or more.")
    if len(paths) > len(ascii_uppercase):
        raise UserError(f"at most {len(ascii_uppercase)} evaluations can be compared at once.")
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("the same evaluation is given twice; compare one with another.")


def _require_common(first: StoredEvaluation, other: StoredEvaluation) -> None:
    from r1.evaluation.compare import pair
    from r1.evaluation.compare_show import left_out

    pairing = pair(first.counts, other.counts).pairing
    if not pairing.num_paired:
        raise UserError(
            f"{first.name} (A) and {other.name} (B) have no judged problem in common: "
            f"{' '.join(left_out(pairing, 'B'))} Evaluate both on the same problems: "
            "r1 eval MODEL --recipe RECIPE."
        )
