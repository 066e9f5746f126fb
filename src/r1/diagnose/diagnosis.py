"""A named cause, and the registry of the checks that find causes.

A check is a function (RunView) -> Diagnosis | None that registers itself:

    @check("truncated", "samples")
    def truncated(view): ...

A diagnosis may say which others follow from it (`explains`); those are left out. No two explain
each other, directly or by way of others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from r1.diagnose.view import RunView
from r1.plugins import note_registration

Applies = Literal["samples", "training", "supervised", "any", "every"]
"""samples: of reinforcement learning and of evaluations; training: of the former alone; any: of
every run; every: of runs and evaluations, those too that hold nothing yet."""


@dataclass(frozen=True)
class Diagnosis:
    """What keeps a run from learning.

    cause: its name, as in docs/diagnose.md. title: one sentence. evidence: numbers. remedy: the
    setting and a value. weight: share of the work that it costs, in [0, 1]; 0: named only where
    nothing else is. hopeless: nothing is learnt any more. examples: at most three. explains: causes
    that follow from this one.
    """

    cause: str
    title: str
    evidence: str
    remedy: str
    weight: float
    hopeless: bool = False
    examples: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values."""
        return asdict(self)


Check = Callable[[RunView], Diagnosis | None]


class RegisteredCheck(NamedTuple):
    """A check, what it applies to, and whether it is left out while a run goes on (slow)."""

    cause: str
    applies: Applies
    slow: bool
    look: Check


CHECKS: list[RegisteredCheck] = []


def check(cause: str, applies: Applies, slow: bool = False) -> Callable[[Check], Check]:
    """Register a check under the cause that it finds."""

    def register(look: Check) -> Check:
        assert all(cause != other.cause for other in CHECKS), f"{cause} is registered twice"
        CHECKS.append(RegisteredCheck(cause, applies, slow, look))
        note_registration(cause)
        return look

    return register


def find_causes(view: RunView) -> list[Diagnosis]:
    """Return what the checks find, worst first, without what follows from something else."""
    found = []
    for one in CHECKS:
        if one.applies in view.sorts and (view.slow_too or not one.slow):
            found.append(one.look(view))
    named = [diagnosis for diagnosis in found if diagnosis is not None]
    explained = {cause for diagnosis in named for cause in diagnosis.explains}
    kept = [diagnosis for diagnosis in named if diagnosis.cause not in explained]
    if any(diagnosis.weight > 0 for diagnosis in kept):
        kept = [diagnosis for diagnosis in kept if diagnosis.weight > 0]
    return sorted(kept, key=lambda diagnosis: (not diagnosis.hopeless, -diagnosis.weight))
