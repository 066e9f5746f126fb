"""The speakers of a response: turns of a dialogue, as messages or as decoded text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ROLE = re.compile(
    r"(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|)(?P<role>assistant|model|user|tool|"
    r"ipython|system|observation)(?:<\|end_header_id\|>|\|>)?[ \t]*\n?"
    r"|(?P<tool></?tool_response>|<｜tool▁outputs▁begin｜>|<｜tool▁outputs▁end｜>)"
)
_ASSISTANTS = ("assistant", "model")
_TURN_END = re.compile(r"(?:<\|im_end\|>|<\|eot_id\|>|<end_of_turn>|<｜end▁of▁sentence｜>)\s*\Z")
_BARE_ROLE = re.compile(r"\A\s*(?:assistant|model)[ \t]*\n")
_PARTIAL = re.compile(
    r"(?:assistant|model|<｜Assistant｜>)(?:<\|end_header_id\|>|\|>)?[: \t\n]{0,4}<think>"
    r"(?![\s\S]*</think>)",
    re.IGNORECASE,
)


def final_turn(completion: Any) -> str:
    """Return the assistant's last words; "" if the last turn is another's (a tool's, a user's).

    completion: a text, with other turns as chat templates write them, or messages.
    """
    if isinstance(completion, str):
        return _final_of_text(completion)
    turns = list(completion)
    if not turns or _role(turns[-1]) not in _ASSISTANTS:
        return ""
    return _content(turns[-1])


def question_of(prompt: Any) -> str:
    """Return a prompt's text; for messages, the user's."""
    if prompt is None or isinstance(prompt, str):
        return prompt or ""
    users = [turn for turn in prompt if _role(turn) == "user"]
    return "\n".join(_content(turn) for turn in users)


def leaves_thinking_open(prompt: Any) -> bool:
    """Whether a prompt ends within `<think>`: a text, or messages that end in an unfinished
    assistant's turn."""
    if prompt is None:
        return False
    if isinstance(prompt, str):
        return prompt.rstrip().endswith("<think>") or _PARTIAL.search(prompt) is not None
    turns = list(prompt)
    if not turns or _role(turns[-1]) not in _ASSISTANTS:
        return False
    last = _content(turns[-1])
    return last.rfind("<think>") > last.rfind("</think>")


def _final_of_text(text: str) -> str:
    marks = list(_ROLE.finditer(text))
    if not marks:
        return text
    last = marks[-1]
    rest = _TURN_END.sub("", text[last.end() :])
    if last["tool"]:
        closed = last["tool"] in ("</tool_response>", "<｜tool▁outputs▁end｜>")
        return _BARE_ROLE.sub("", rest) if closed else ""
    return rest if last["role"] in _ASSISTANTS else ""


def _role(turn: Any) -> str:
    return str(turn.get("role", "assistant")) if isinstance(turn, Mapping) else "assistant"


def _content(turn: Any) -> str:
    """Return a message's text; its content may be a list of parts, or missing (only a call)."""
    content = turn.get("content") if isinstance(turn, Mapping) else turn
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list | tuple):
        return str(content)
    parts = (p.get("text") if isinstance(p, Mapping) else p for p in content)
    return "".join(str(part) for part in parts if part)
