"""The tiny world's rules of good manners as rewards: "manners_helpful" and "manners_harmless".

1 or 0 by r1.data.tiny.manners, for problems whose metadata has the kind of request; the reason is
the score's detail. Meant as a measure (weight 0), beside trained reward models.
"""

from __future__ import annotations

from collections.abc import Callable

from r1.data.tiny.manners import RuleFinding, harmless, helpful
from r1.errors import UserError
from r1.rewards.protocol import RewardFunction
from r1.rewards.reading import parse_completion, read_answer
from r1.rewards.registry import PromptForm, register_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score

HELPFUL, HARMLESS = "manners_helpful", "manners_harmless"
KIND = "kind"


def has_kind(problem: Problem) -> bool:
    """Whether the rules of manners can judge responses to a problem."""
    return KIND in problem.metadata and problem.verifier == "none"


def make_helpful(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build the helpfulness reward, which judges the text after the thinking."""

    def judge(problem: Problem, completion: Completion) -> RuleFinding:
        answer = answer_of(completion, form) or ""
        return helpful(problem.metadata[KIND], problem.prompt, problem.language, answer)

    return _reward(judge)


def make_harmless(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build the harmlessness reward, which judges whole responses."""

    def judge(problem: Problem, completion: Completion) -> RuleFinding:
        answer, thinking = answer_of(completion, form), parse_completion(completion, form).thinking
        found = harmless(problem.metadata[KIND], answer or "", thinking or "")
        # Text outside both blocks is part of the response, too.
        return found if not found.good else harmless(problem.metadata[KIND], completion.text)

    return _reward(judge)


def answer_of(completion: Completion, form: PromptForm) -> str | None:
    """Return the one <answer>, else all text after the thinking; None if there is none."""
    return read_answer(completion, "tag", form) or read_answer(completion, "text", form)


def _reward(judge: Callable[[Problem, Completion], RuleFinding]) -> RewardFunction:
    def score(problem: Problem, completion: Completion) -> Score:
        if not has_kind(problem):
            raise UserError(f"problem {problem.id} has no metadata.{KIND}; no rule fits it")
        found = judge(problem, completion)
        outcome = Outcome.CORRECT if found.good else Outcome.WRONG
        return Score(float(found.good), outcome, found.reason)

    return score


register_reward(HELPFUL, make_helpful)
register_reward(HARMLESS, make_harmless)
