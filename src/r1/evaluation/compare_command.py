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
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON")] = False,
) -> None:
    """Tell which differences between evaluations are real: paired by problem, with intervals."""
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
