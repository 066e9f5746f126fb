"""Grading one answer against a reference: correct or incorrect, by the majority of votes.

The paper's judge of what no rule can verify: question, reference and answer in, an analysis and a
verdict out (section 2.3.3). The words of the prompt are our own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from r1.judge.asker import NoVerdict
from r1.judge.prompt import DataBlock, JudgeTask
from r1.judge.verdict import Verdict
from r1.types import Outcome, Score

CORRECT, INCORRECT = "correct", "incorrect"

_INSTRUCTIONS = (
    "You are a strict and fair examiner. Decide whether the answer is a correct answer to the "
    "question, taking the reference as the truth.\n"
    "- Compare what is meant, not how it is worded: other notation, units that convert, another "
    "language or more detail do not matter where the substance agrees.\n"
    '- The verdict is "correct" only if the answer commits to one final answer, gives all that '
    "the question asks for, and contradicts the reference nowhere in what it asks for.\n"
    "- An answer that is missing, hedged between several, or only asserted to be right is "
    '"incorrect".\n'
    "- Do not solve the question anew to overrule the reference."
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The sum of the votes on one answer.

    label: the majority's "correct" or "incorrect"; None where no vote is valid or they are even.
    share: of valid votes, those that say "correct"; None where no vote is valid.
    consistency: of valid votes, those that agree with the majority; None likewise.
    """

    label: str | None
    share: float | None
    consistency: float | None
    votes: tuple[Verdict | NoVerdict, ...]

    def as_score(self) -> Score:
        """Return a reward's score; without a verdict VERIFIER_FAILED or TIMED_OUT, never WRONG."""
        if self.label is not None:
            outcome = Outcome.CORRECT if self.label == CORRECT else Outcome.WRONG
            analysis = next(
                v.analysis for v in self.votes if isinstance(v, Verdict) and v.label == self.label
            )
            return Score(float(self.label == CORRECT), outcome, analysis)
        failures = [vote for vote in self.votes if isinstance(vote, NoVerdict)]
        if len(failures) < len(self.votes):
            return Score(0.0, Outcome.VERIFIER_FAILED, "the judge's votes are even")
        silent = all(failure.outcome is Outcome.TIMED_OUT for failure in failures)
        outcome = Outcome.TIMED_OUT if silent else Outcome.VERIFIER_FAILED
        return Score(0.0, outcome, failures[0].reason)


def grading_task(question: str, reference: str, answer: str) -> JudgeTask:
    """Return the task of grading an answer."""
    data = (
        DataBlock("question", question),
        DataBlock("reference", reference),
        DataBlock("answer", answer),
    )
    return JudgeTask(_INSTRUCTIONS, (CORRECT, INCORRECT), data)


def summarise_votes(votes: Sequence[Verdict | NoVerdict]) -> Judgement:
    """Return the majority of the valid votes."""
    labels = Counter(vote.label for vote in votes if isinstance(vote, Verdict))
    if not (num_valid := labels.total()):
        return Judgement(None, None, None, tuple(votes))
    share = labels[CORRECT] / num_valid
    label = None if share == 0.5 else CORRECT if share > 0.5 else INCORRECT
    return Judgement(label, share, max(share, 1.0 - share), tuple(votes))
