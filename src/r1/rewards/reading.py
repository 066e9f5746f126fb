"""Where in a response the answer stands. Pure text, linear time, never raises."""

from __future__ import annotations

from r1.rewards.boxes import boxed_answer
from r1.rewards.registry import PromptForm
from r1.rewards.settings import AnswerSource
from r1.template import Defect, Parsed, parse
from r1.types import Completion


def parse_completion(completion: Completion, form: PromptForm) -> Parsed:
    """Parse a completion; a stop string `</answer>` that ended it is put back first."""
    text = completion.text
    parsed = parse(text, opened=form.opened)
    stopped = completion.finish_reason == "stop" and "</answer>" in form.stop
    if stopped and parsed.defect is Defect.UNCLOSED_ANSWER:
        return parse(text + "</answer>", opened=form.opened)
    return parsed


def read_answer(completion: Completion, source: AnswerSource, form: PromptForm) -> str | None:
    """Return the answer to judge, stripped, or None where there is none."""
    if source == "answer":
        return parse_completion(completion, form).answer_strict or None
    if source == "tag":
        only = completion.text.count("<answer>") == 1
        return (parse_completion(completion, form).answer or None) if only else None
    rest = after_thinking(completion.text, form.opened)
    if rest is None:
        return None
    return (boxed_answer(rest) if source == "boxed" else rest.strip()) or None


def after_thinking(text: str, opened: bool) -> str | None:
    """Return what follows the last `</think>`; None where thinking began and never ended.

    A text without thinking tags is returned whole. Tags of an answer are dropped.
    """
    _, closing, rest = text.rpartition("</think>")
    if not closing and (opened or "<think>" in text):
        return None
    return rest.replace("<answer>", " ").replace("</answer>", " ")
