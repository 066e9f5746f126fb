"""Why a sample is dropped. Each dropped sample counts once, under the first reason that applies:

cut at the token limit; verifier without verdict; malformed; no answer could be read; wrong answer;
too long; too short; another answer than before refining; summary without its required text;
summary in another language; what the readability checks find in the reasoning (mixed languages,
long paragraph, code block, repeated n-grams, repeated lines, ends in a loop); duplicate;
near-duplicate; beyond the cap. Every check is linear in the length of the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from r1.curation.duplicates import near_duplicate_of, normal_form, sketch
from r1.curation.pattern import Split
from r1.curation.settings import FilterSettings, KeepSettings
from r1.errors import UserError
from r1.rollout.seeds import sample_seed
from r1.text.language import language_share
from r1.types import Outcome, Problem, Reward

ACCURACY = "accuracy"
DROPPED = "dropped/"
"""What the names of reasons follow in a record's counts."""


class DropReason(StrEnum):
    """Reasons beside those of r1.text.readability."""

    CUT = "cut at the token limit"
    NO_VERDICT = "verifier without verdict"
    MALFORMED = "malformed"
    NO_ANSWER = "no answer could be read"
    WRONG = "wrong answer"
    TOO_LONG = "too long"
    TOO_SHORT = "too short"
    OTHER_ANSWER = "another answer than before refining"
    SUMMARY_FORM = "summary without its required text"
    SUMMARY_LANGUAGE = "summary in another language"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near-duplicate"
    OVER_CAP = "beyond the cap"
    NO_END = "no branch of the tree ended"
    OTHER_TEXT = "a step was cut within a character"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class CorrectSample:
    """A sample that is correct and readable."""

    sample: int
    seed: int
    thinking: str
    summary: str
    answer: str | None
    num_tokens: int
    reward: Reward


def first_fault(
    finish_reason: str,
    num_tokens: int,
    reward: Reward,
    split: Split,
    problem: Problem,
    settings: FilterSettings,
) -> DropReason | None:
    """What is wrong with a sample before its reasoning is read; None where nothing is.

    Raises UserError where accuracy is not among the rewards, and for an unknown language.
    """
    outcome = accuracy_of(reward)
    if finish_reason == "length":
        return DropReason.CUT
    if not outcome.is_verdict:
        return DropReason.NO_VERDICT
    if split.defect is not None:
        return DropReason.MALFORMED
    if outcome is not Outcome.CORRECT:
        return DropReason.NO_ANSWER if outcome is Outcome.UNPARSEABLE else DropReason.WRONG
    if settings.max_tokens is not None and num_tokens > settings.max_tokens:
        return DropReason.TOO_LONG
    if settings.min_tokens is not None and num_tokens < settings.min_tokens:
        return DropReason.TOO_SHORT
    return _summary_fault(split.summary or "", problem, settings)


def _summary_fault(summary: str, problem: Problem, settings: FilterSettings) -> DropReason | None:
    if settings.summary_holds is not None and settings.summary_holds not in summary:
        return DropReason.SUMMARY_FORM
    if settings.min_summary_share is None:
        return None
    found = language_share(summary, problem.language, problem.prompt)
    if found.words and found.share < settings.min_summary_share:
        return DropReason.SUMMARY_LANGUAGE
    return None


def accuracy_of(reward: Reward) -> Outcome:
    """What the accuracy reward found; UserError where there is none."""
    score = reward.parts.get(ACCURACY)
    if score is None:
        raise UserError(
            'curation keeps correct samples, but "accuracy" is not among the rewards; add it to '
            "rewards.weights."
        )
    return score.outcome


def choose(
    candidates: Sequence[CorrectSample], settings: KeepSettings, seed: int, problem_id: str
) -> tuple[list[CorrectSample], dict[DropReason, int]]:
    """Return the candidates to keep, in the order of their samples, and why others go.

    In the order of settings.order: a candidate equal or nearly equal to an earlier one goes; of
    the others all beyond the cap go.
    """
    kept: list[CorrectSample] = []
    dropped: dict[DropReason, int] = {}
    texts: set[str] = set()
    sketches: list[np.ndarray] = []
    threshold = settings.near_duplicate
    for candidate in _in_order(candidates, settings, seed, problem_id):
        text = f"{candidate.thinking}\n{candidate.summary}"
        plain = normal_form(text)
        if plain in texts:
            reason = DropReason.DUPLICATE
        else:
            texts.add(plain)
            reason = DropReason.NEAR_DUPLICATE
            own = None if threshold is None else sketch(text)
            if own is None or threshold is None:
                near = None
            elif (near := near_duplicate_of(own, sketches, threshold)) is None:
                sketches.append(own)
            if near is None:
                if settings.cap is None or len(kept) < settings.cap:
                    kept.append(candidate)
                    continue
                reason = DropReason.OVER_CAP
        dropped[reason] = dropped.get(reason, 0) + 1
    return sorted(kept, key=lambda candidate: candidate.sample), dropped


def _in_order(
    candidates: Sequence[CorrectSample], settings: KeepSettings, seed: int, problem_id: str
) -> list[CorrectSample]:
    def rank(candidate: CorrectSample) -> int:
        if settings.order == "random":
            return sample_seed(seed, "keep", problem_id, candidate.sample)
        if settings.order == "first":
            return candidate.sample
        sign = 1 if settings.order == "shortest" else -1
        return sign * candidate.num_tokens

    return sorted(candidates, key=lambda candidate: (rank(candidate), candidate.sample))
