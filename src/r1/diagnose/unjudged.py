"""Runs and evaluations of which nothing can be told yet: no step, or no sample with a verdict.

Where verifiers failed, `verifier_failed` says it better and with examples.
"""

from __future__ import annotations

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.view import EVALUATION, RunView
from r1.rewards.afterwards import AFTERWARDS
from r1.types import FAILED

_AGAIN = "the same command again: it carries on where it stopped"


@check("nothing_judged", "every")
def nothing_judged(view: RunView) -> Diagnosis | None:
    """Find that there is nothing to look at, which must not look like health."""
    found = _in_evaluation(view) if view.kind == EVALUATION else _in_run(view)
    if found is None:
        return None
    evidence, remedy = found
    return Diagnosis(
        "nothing_judged",
        "Nothing can be judged yet.",
        evidence,
        remedy,
        1.0,
        explains=("verifier_failed",),
    )


def _in_run(view: RunView) -> tuple[str, str] | None:
    """Return evidence and remedy where no step was taken."""
    return None if view.num_steps else ("no step has been taken", _AGAIN)


def _in_evaluation(view: RunView) -> tuple[str, str] | None:
    """Return evidence and remedy where no sample has a verdict, for a reason that is no verifier's
    failure."""
    if not view.rows:
        return "it holds no samples: they are written block by block", _AGAIN
    number = f"none of the {len(view.rows)} samples looked at has a verdict"
    if all(row["finish_reason"] == FAILED for row in view.rows):
        return f"{number}: the engine or the endpoint gave no response", _AGAIN
    if all(row.get("verifier") == AFTERWARDS for row in view.rows):
        judged = f"r1 bench show {view.folder.parent}: what the judge said of them"
        return f"{number} here: a judge is asked when sampling has ended", judged
    return None
