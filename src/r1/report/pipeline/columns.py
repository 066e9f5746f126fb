"""The table of stages, after the paper's Table 3: its columns and its rows.

Columns: base, R1-Zero, Dev1, Dev2, Dev3, R1, other checkpoints that were evaluated, students. The
twin without the language reward has a section of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from r1.intervals import Interval
from r1.report.pipeline.contests import PLAIN, STUDENT
from r1.report.pipeline.load import BASE, EvaluationResults, PipelineData
from r1.report.pipeline.metrics import METRICS, Unit

_ORDER = (BASE, "r1_zero", "dev1", "dev2", "dev3", "r1")
_OVERALL = (
    "pass_at_1", "cons_at_k", "format", "language", "self_check_share", "mean_length",
)  # fmt: skip
_GENERAL = (
    "helpful", "harmless", "rule_helpful", "rule_harmless", "format", "language", "mean_length",
)  # fmt: skip
_HIGH_IS_NOT_BETTER = ("self_check_share", "mean_length")


class Column(NamedTuple):
    """A checkpoint; evaluation is None until it is measured."""

    stage: str
    title: str
    student: bool
    evaluation: EvaluationResults | None


class FigureRow(NamedTuple):
    """A row. cells: a figure per column, None if not measured; best: the columns to mark."""

    group: str
    label: str
    unit: Unit
    cells: tuple[Interval | None, ...]
    best: frozenset[int]


def columns(pipeline: PipelineData) -> list[Column]:
    """Return every checkpoint that is or will be evaluated, in table order."""
    evaluations = pipeline.evaluations
    stages = [s.evaluates for s in pipeline.stages.values() if s.evaluates]
    names = [name for name in dict.fromkeys(stages) if not name.endswith(PLAIN)]
    students = [name for name in names if name.startswith(STUDENT)]
    others = [name for name in names if name not in _ORDER and name not in students]
    ordered = [*(name for name in _ORDER if name in names), *others, *students]
    return [
        Column(name, pipeline.title(name), name in students, evaluations.get(name))
        for name in ordered
    ]


def rows(table: list[Column]) -> list[FigureRow]:
    """Return families, then all reasoning problems, then general ones; empty rows are left out."""
    evaluations = [column.evaluation for column in table]

    def solved(family: str) -> list[Interval | None]:
        found = [None if e is None else e.families.get(family, {}) for e in evaluations]
        return [None if figures is None else figures.get("pass_at_1") for figures in found]

    families = dict.fromkeys(f for e in evaluations if e is not None for f in e.families)
    found = [_row("pass@1 by family", name, "pass_at_1", solved(name)) for name in families]
    for name in _OVERALL:
        cells = [None if e is None else e.overall.get(name) for e in evaluations]
        found.append(_row("All reasoning", METRICS[name].label, name, cells))
    for name in _GENERAL:
        cells = [None if e is None else e.general.get(name) for e in evaluations]
        if name == "format" and not any(cell is not None and cell.value for cell in cells):
            continue  # a form that nobody keeps was not asked for
        found.append(_row("General prompts", METRICS[name].label, name, cells))
    return [row for row in found if any(cell is not None for cell in row.cells)]


def _row(group: str, label: str, metric: str, cells: list[Interval | None]) -> FigureRow:
    values = {index: cell.value for index, cell in enumerate(cells) if cell is not None}
    best: frozenset[int] = frozenset()
    if len(values) > 1 and metric not in _HIGH_IS_NOT_BETTER:
        top = max(values.values())
        best = frozenset(index for index, value in values.items() if value == top)
    return FigureRow(group, label, METRICS[metric].unit, tuple(cells), best)
