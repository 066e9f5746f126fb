"""The section "What this run says about itself": the diagnosis, and samples of a bad outcome.

Completions are hostile text: everything is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from r1.diagnose import Diagnosis
from r1.diagnose.samples import examples
from r1.diagnose.show import NOTHING
from r1.report.load import EVALUATION, RunData
from r1.run_dir.evaluation import block_files, outcomes_line
from r1.run_dir.read import read_evaluation_completions
from r1.run_dir.stored import read_completions
from r1.types import Outcome

NEARLY_ALL = 0.9
"""Share of one bad outcome from which samples of it are shown."""


def diagnosis_section(run: RunData, found: Sequence[Diagnosis]) -> str:
    """Return the section: the last evaluation's outcomes, and each cause, worst first."""
    causes = "".join(map(_cause, found)) or f'<p class="note">{NOTHING}</p>'
    return (
        '<section id="diagnosis"><h2>What this run says about itself</h2>'
        f"{_outcomes(run)}{causes}"
        '<p class="note">From this folder alone, as <code>r1 diagnose</code> prints it; '
        "docs/diagnose.md names every cause, threshold and remedy.</p></section>"
    )


def stages_section(found: Mapping[str, Sequence[Diagnosis]]) -> str:
    """Return the section of a pipeline: the causes of each stage that trains; "" without any."""
    stages = "".join(
        f"<h3>{escape(name)}</h3>{''.join(map(_cause, causes))}"
        for name, causes in found.items()
        if causes
    )
    if not stages:
        return ""
    return (
        f'<section id="diagnosis"><h2>What these runs say about themselves</h2>{stages}</section>'
    )


def _cause(diagnosis: Diagnosis) -> str:
    return (
        f'<div class="cause{" hopeless" * diagnosis.hopeless}"><h3>{escape(diagnosis.title)} '
        f"<code>{escape(diagnosis.cause)}</code></h3><p>{escape(diagnosis.evidence)}.</p>"
        f"{_examples(diagnosis.examples)}<p><b>Try</b> {escape(diagnosis.remedy)}</p></div>"
    )


def _examples(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _outcomes(run: RunData) -> str:
    """Return the outcomes of the last evaluation, with samples where nearly all are bad alike."""
    last = run.evaluations[-1] if run.evaluations else {}
    counts = {name: n for name, n in last.get("outcomes", {}).items() if isinstance(n, int)}
    if not any(counts.values()):
        return ""
    most = max(counts, key=counts.__getitem__)
    bad = most != Outcome.CORRECT and counts[most] >= NEARLY_ALL * sum(counts.values())
    shown = _examples(examples(_samples(run, most), "accuracy")) if bad else ""
    line = outcomes_line(counts, last.get("truncated"))
    return f"<p>Last evaluation: {escape(line)}.</p>{shown}"


def _samples(run: RunData, outcome: str) -> list[dict[str, Any]]:
    if run.kind == EVALUATION:
        rows = [row for path in block_files(run.folder)[:1] for row in read_completions(path)]
    else:
        rows = read_evaluation_completions(run.folder, run.evaluations[-1]["step"])
    return [row for row in rows if row.get("outcome/accuracy") == outcome]
