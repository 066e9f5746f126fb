"""Find the answer in a response. Pure text, linear time."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import NamedTuple, get_args

from r1.rewards.boxes import boxed_answer
from r1.rewards.harness_answers import HARNESS_READERS
from r1.rewards.protocol_answers import json_answer, last_line, marked
from r1.rewards.registry import PromptForm
from r1.rewards.settings import AnswerSource
from r1.rewards.stated import find_stated
from r1.template import FormDefect, Parsed, parse
from r1.types import Completion


def parse_completion(completion: Completion, form: PromptForm) -> Parsed:
    """Parse a completion; a stop string `</answer>` that ended it is restored first."""
    text = completion.text
    parsed = parse(text, opened=form.opened)
    stopped = completion.finish_reason == "stop" and "</answer>" in form.stop
    if stopped and parsed.defect is FormDefect.UNCLOSED_ANSWER:
        return parse(text + "</answer>", opened=form.opened)
    return parsed


class ReadAnswer(NamedTuple):
    """An answer to judge, stripped and not empty, and the rule of "stated" that found it ("" for
    other sources)."""

    answer: str
    rule: str = ""


def read_answer(completion: Completion, source: AnswerSource, form: PromptForm) -> str | None:
    """Return the answer to judge, stripped, or None if there is none."""
    reading = find_answer(completion, source, form)
    return None if reading is None else reading.answer


def find_answer(
    completion: Completion, source: AnswerSource, form: PromptForm
) -> ReadAnswer | None:
    """Return the answer to judge and how it was found, or None if there is none."""
    if source == "answer":
        return _reading(parse_completion(completion, form).answer_strict)
    if source == "tag":
        only = completion.text.count("<answer>") == 1
        return _reading(parse_completion(completion, form).answer) if only else None
    final = final_text(completion.text, form.opened)
    if final is None:
        return None
    if source == "stated":
        stopped = completion.finish_reason == "stop"
        if stopped and "</answer>" in form.stop and "<answer>" in final:
            final += "</answer>"
        stated = find_stated(final, boxed_answer(final), ended=completion.finish_reason != "length")
        return stated and ReadAnswer(stated.answer, stated.rule)
    return _reading(_READERS[source](_without_answer_tags(final)))


_READERS: dict[str, Callable[[str], str | None]] = {
    "boxed": boxed_answer,
    "text": str.strip,
    "last_line": last_line,
    "marker": marked,
    "json": json_answer,
    **HARNESS_READERS,
}
"""How what follows the thinking is read, by source."""


def _reading(answer: str | None) -> ReadAnswer | None:
    return ReadAnswer(answer) if answer else None


def find_source_fault(source: object) -> str | None:
    """Return why a value names no place of an answer, with the nearest valid one, or None."""
    names = (*get_args(AnswerSource), *HARNESS_READERS)
    if source in names:
        return None
    near = difflib.get_close_matches(str(source), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(names)}."
    return f"answer_from is {source!r}; {hint}"


def after_thinking(text: str, opened: bool) -> str | None:
    """Return the text after the last `</think>`; None if thinking began and never ended.

    A text without thinking tags is returned whole. Tags of an answer are dropped.
    """
    final = final_text(text, opened)
    return None if final is None else _without_answer_tags(final)


def final_text(text: str, opened: bool) -> str | None:
    """Return the text after the thinking, with answer tags; None if thinking never ended."""
    _, closing, rest = text.rpartition("</think>")
    if "<think>" in rest or (opened and not closing):
        return None
    return rest


def _without_answer_tags(text: str) -> str:
    return text.replace("<answer>", " ").replace("</answer>", " ")
