"""The verifier "afterwards": a response that is judged when sampling has ended, not here.

The judged benchmarks (`r1.benchmarks.judging`) sample first and ask their judge of what was stored.
Until then a response has no verdict, and no figure counts it.
"""

from __future__ import annotations

from r1.rewards.exact import equal_exact
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

AFTERWARDS = "afterwards"


def _no_verdict(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    return Score(0.0, Outcome.VERIFIER_FAILED, "judged afterwards")


register_verifier(
    AFTERWARDS,
    Verifier(
        _no_verdict,
        lambda problem: None,
        equal_exact,
        boxes=False,
        answer_from="text",
        reads=("question", "baseline", "difficulty"),
    ),
)
"""Its reference may be anything; a benchmark has checked it."""
