"""The language-consistency reward: the share of target-language words in the chain of thought.

    value = words of the problem's language / words of any language   (DeepSeek-R1 §2.3.2)

The target is `Problem.language`; `r1.text.language` defines the words, and what is left out
(formulas, code, numbers, names). The chain of thought is all text before the last `</think>` and,
if an `<answer>` follows, before that: a policy cannot avoid the reward by moving its thinking
before, after or between well-formed blocks. A thought cut at the token limit counts up to the cut.

A thought without any word (empty, or bare arithmetic) is worth 0, not 1: otherwise the surest way
to a full score would be to stop writing words, and the paper's aim, a chain of thought that people
can read, would be lost first. One word of the language is enough to leave that case, so that a
thought of formulas costs a correct policy nothing it cannot win back at once.

Left out on purpose: the summary after the thinking in formats without `<answer>` (the paper
measures the chain of thought), and any judgement of its content.
"""

from __future__ import annotations

import re

from r1.rewards.protocol import RewardFunction
from r1.rewards.registry import PromptForm, register_reward
from r1.rewards.settings import RewardSettings
from r1.text.language import language_share
from r1.types import Completion, Outcome, Problem, Score

_TAG = re.compile(r"</?(?:think|answer)>")


def make_language(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build the reward for one form of prompt."""

    def score(problem: Problem, completion: Completion) -> Score:
        return language_reward(completion.text, problem.language, problem.prompt, form.opened)

    return score


def language_reward(
    text: str, language: str = "en", prompt: str = "", opened: bool = False
) -> Score:
    """Score one response's chain of thought, in [0, 1].

    opened: the prompt already ended in `<think>`. CORRECT is a share of 1; UNPARSEABLE, with value
    0, a response without thinking or without words. Raises UserError for an unknown language.
    """
    thinking = chain_of_thought(text, opened)
    if thinking is None:
        return Score(0.0, Outcome.UNPARSEABLE, "no thinking")
    share = language_share(thinking, language, prompt)
    if not share.words:
        return Score(0.0, Outcome.UNPARSEABLE, "no words in the thinking")
    if not share.foreign:
        return Score(1.0, Outcome.CORRECT)
    shown = ", ".join(share.examples)
    detail = f"{share.share:.0%} of {share.words:.0f} words are {language}; others: {shown}"
    return Score(share.share, Outcome.WRONG, detail)


def chain_of_thought(text: str, opened: bool = False) -> str | None:
    """Return the thinking of a response without tags; None if it has no thinking."""
    if not opened and "<think>" not in text and "</think>" not in text:
        return None
    head, closing, rest = text.rpartition("</think>")
    if not closing:
        head, rest = text, ""
    elif "<answer>" in rest:
        head += "\n" + rest.partition("<answer>")[0]
    return _TAG.sub("\n", head).strip()


register_reward("language", make_language)
