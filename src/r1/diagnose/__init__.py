"""Why does my reward not rise? What keeps a run from learning, found in its folder alone.

    for diagnosis in diagnose(folder):      # worst first
        print(diagnosis.title, diagnosis.evidence, diagnosis.remedy)

A check is one function that registers itself (`diagnosis.check`); thresholds with their reasons are
in `thresholds.py`. Torch-free. Left out on purpose: repairing anything.
"""

from __future__ import annotations

from pathlib import Path

from r1.diagnose import data, flat, lengths, payment, policy, signal, supervised, unjudged
from r1.diagnose.diagnosis import CHECKS, Diagnosis, find_causes
from r1.diagnose.view import load_view
from r1.errors import UserError
from r1.files.shapes import read_json
from r1.run_dir.read import is_run
from r1.run_dir.shapes import PipelineFile

__all__ = [
    "CHECKS",
    "Diagnosis",
    "data",
    "diagnose",
    "diagnose_all",
    "flat",
    "lengths",
    "payment",
    "policy",
    "signal",
    "supervised",
    "unjudged",
]


def diagnose(folder: Path, *, judge: bool = False) -> list[Diagnosis]:
    """Return what keeps a run from learning, worst first; [] where nothing is found.

    judge: verdicts are judged again by the recipe's own judge, not by rules. Raises UserError where
    `folder` is no run and no evaluation, and for a judge that cannot be asked.
    """
    return find_causes(load_view(Path(folder), judge=judge))


def diagnose_all(folder: Path, *, judge: bool = False) -> dict[str, list[Diagnosis]]:
    """Return `diagnose` of a run under "", or of every run of a pipeline by its stage's name.

    Raises UserError as `diagnose` does, and for a pipeline of which no stage has trained yet.
    """
    folder = Path(folder)
    told = read_json(folder / "pipeline.json", None, PipelineFile)
    if told is None:
        return {"": diagnose(folder, judge=judge)}
    runs = {stage["name"]: folder / stage["name"] / "run" for stage in told["stages"]}
    found = {name: diagnose(run, judge=judge) for name, run in runs.items() if is_run(run)}
    if not found:
        raise UserError(f"{folder}: no stage of this pipeline has begun to train yet.")
    return found
