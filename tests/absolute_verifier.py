"""A verifier with a hole: its relative tolerance turns absolute near zero."""

from __future__ import annotations

from fractions import Fraction

from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score


def score_absolute(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """1 where |answer - reference| <= 1e-6 max(1, |reference|)."""
    gold = Fraction(problem.reference or "0")
    try:
        gap = abs(Fraction(answer) - gold)
    except (ValueError, ZeroDivisionError):
        return Score(0.0, Outcome.UNPARSEABLE)
    if gap <= Fraction(1, 10**6) * max(Fraction(1), abs(gold)):
        return Score(1.0, Outcome.CORRECT)
    return Score(0.0, Outcome.WRONG)


register_verifier("absolute", Verifier(score_absolute, lambda _: None, str.__eq__))
