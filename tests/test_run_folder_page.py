"""docs/run-folder.md names the metrics of the code, and no others.

test_changed_inputs.py compares it with the rows of a real run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from r1.report.time_use import QUEUES, RESTARTS, SPEEDS
from r1.types import Outcome
from run_folder_page import PAGE, named_metrics, unnamed

SOURCE = Path(__file__).parents[1] / "src" / "r1"
COUNTED = "tokens"  # what sums are divided by, no metric of its own
SUPERVISED = {"epoch", "speed/tokens_per_s"}


def written(path: Path) -> Iterator[str]:
    """The names that a file puts into `metrics`, `sums`, `found` or `told`.

    What an f-string fills in becomes "x".
    """
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Assign([ast.Name("metrics" | "sums" | "found" | "told")], value):
                yield from keys_in(value)
            case ast.keyword("sums", value):
                yield from keys_in(value)
            case ast.Assign(
                [ast.Subscript(ast.Name("metrics" | "sums" | "found" | "told"), key)], _
            ):
                yield from literal(key)


def keys_in(value: ast.AST) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Dict):
            for key in node.keys:
                yield from literal(key)


def literal(key: ast.expr | None) -> Iterator[str]:
    match key:
        case ast.Constant(str(name)):
            yield name
        case ast.JoinedStr(parts):
            yield "".join(p.value if isinstance(p, ast.Constant) else "x" for p in parts)


def test_the_metrics_of_every_algorithm_are_named() -> None:
    found = {name for path in (SOURCE / "algorithms").glob("*.py") for name in written(path)}
    assert {"kl", "value_loss", "prm_loss", "teacher_kl", "explained_variance/x"} <= found
    assert not unnamed(found - {COUNTED})


def test_the_metrics_of_a_step_are_named() -> None:
    files = ("step_metrics.py", "learner/metrics.py")
    names = {name for file in files for name in keys_in(ast.parse((SOURCE / file).read_text()))}
    assert {"zero_variance", "engine_gap", "skipped_steps", "staleness_max"} <= names
    assert not unnamed(names - SUPERVISED)
    assert not unnamed({*SPEEDS, *RESTARTS, *QUEUES} - SUPERVISED)


def test_every_outcome_is_named() -> None:
    [row] = [line for line in PAGE.read_text().splitlines() if "| `outcome/OUTCOME`" in line]
    assert all(f"`{outcome}`" in row for outcome in Outcome)


def test_no_metric_is_named_that_no_code_writes() -> None:
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    for name in named_metrics():
        last = name.rpartition("/")[2]
        word = last.removeprefix("late_")  # of f"pool/late_{name}"
        stands_for_names = any(map(str.isupper, last))
        assert stands_for_names or f'"{name}"' in source or f'"{word}"' in source, name
