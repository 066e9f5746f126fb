"""The accuracy reward: reads the answer and hands it to the problem's verifier (§2.2.2).

An answer that cannot be read is UNPARSEABLE with value 0. What a verifier raises is left to the
worker that runs it, which reports it as verifier-failed.
"""

from __future__ import annotations

from dataclasses import replace

from r1.errors import UserError
from r1.rewards.protocol import RewardFunction
from r1.rewards.reading import find_answer, find_source_fault
from r1.rewards.registry import PromptForm, Verifier, find_verifier, register_reward
from r1.rewards.settings import AnswerSource, RewardSettings
from r1.types import Completion, Outcome, Problem, Score


def make_accuracy(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build the reward for responses asked for in a given form."""

    def score(problem: Problem, completion: Completion) -> Score:
        verifier = find_verifier(problem.verifier)
        return judge_answer(problem, completion, verifier, settings, form)

    return score


def judge_answer(
    problem: Problem,
    completion: Completion,
    verifier: Verifier,
    settings: RewardSettings,
    form: PromptForm,
) -> Score:
    """Read the answer where the problem puts it and judge it; says by which rule it was found."""
    found = find_answer(completion, answer_source(problem, verifier, settings), form)
    if found is None:
        return Score(0.0, Outcome.UNPARSEABLE, "no answer could be read")
    score = verifier.score(problem, found.answer, settings)
    if not found.rule:
        return score
    return replace(score, detail=f"{found.rule}: {found.answer[:60]!r}. {score.detail}".strip())


def answer_source(problem: Problem, verifier: Verifier, settings: RewardSettings) -> AnswerSource:
    """Where this problem's answer is read: its own word, its verifier's, or the recipe's."""
    return problem.metadata.get("answer_from") or verifier.answer_from or settings.answer_from


def check_reference(problem: Problem, settings: RewardSettings | None = None) -> str | None:
    """Return why the problem's reference cannot be verified, or None where it can.

    The verifier must accept its own gold answer, on this machine. Runs in the caller's process:
    references are the user's own data, not a model's output.
    """
    try:
        verifier = find_verifier(problem.verifier)
        source = problem.metadata.get("answer_from")
        if source and (fault := find_source_fault(source)):
            return f"metadata: {fault}"
        reason = verifier.check_reference(problem)
        if reason is None and verifier.check_machine is not None:
            reason = verifier.check_machine(problem, settings or RewardSettings())
        return reason
    except UserError as error:
        return str(error)


register_reward("accuracy", make_accuracy)
