"""The format reward: 1 for a well-formed response, else 0 (DeepSeek-R1 §2.2.2).

`r1.template.parse` decides: a well-formed response has one `<think>` block, then one `<answer>`
block, neither empty, and nothing else. The score's detail names the defect.
"""

from __future__ import annotations

from r1.rewards.protocol import RewardFunction
from r1.rewards.reading import parse_completion
from r1.rewards.registry import PromptForm, register_reward
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score


def make_format(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build the reward for one form of prompt."""

    def score(problem: Problem, completion: Completion) -> Score:
        defect = parse_completion(completion, form).defect
        if defect is None:
            return Score(1.0, Outcome.CORRECT)
        return Score(0.0, Outcome.WRONG, str(defect))

    return score


register_reward("format", make_format)
