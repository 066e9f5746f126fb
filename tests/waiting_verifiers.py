"""Verifiers that hang before their first score, for the tests of the worker pool (a plugin)."""

from __future__ import annotations

import os
import time

from r1.rewards.registry import Verifier, register_verifier
from r1.types import Outcome, Score


def _warm_hangs() -> None:
    time.sleep(1000)


def _warm_hangs_once() -> None:
    """Hang in the first worker alone: a file tells the others."""
    path = os.environ["HUNG_ONCE"]
    if not os.path.exists(path):
        open(path, "w").close()
        time.sleep(1000)


def _right(*_: object) -> Score:
    return Score(1.0, Outcome.CORRECT)


for name, warm in (("never_ready", _warm_hangs), ("ready_later", _warm_hangs_once)):
    register_verifier(name, Verifier(_right, lambda problem: None, str.__eq__, warm))
