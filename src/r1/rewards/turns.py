"""The speakers of a response: turns of a dialogue, as messages or as decoded text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ROLE = re.compile(
    r"(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|im_(?:user|assistant|system)\|>|<\|)"
    r"(?P<role>assistant|model|user|tool|ipython|system|observation)"
    r"(?:<\|end_header_id\|>|<\|im_middle\|>|\|>)?[ \t]*\n?"
    r"|<\|start\|>(?P<harmony>[a-z][\w.]{0,40}+)[^<>\n]{0,40}+(?:<\|channel\|>(?P<channel>\w+))?"
    r"[^\n]{0,60}?<\|message\|>"
    r"|<｜(?P<deepseek>User|Assistant|System)｜>|(?P<mistral>\[/?(?:INST|TOOL_RESULTS)\])"
    r"|(?P<tool></?tool_response>|<｜tool▁outputs▁(?:begin|end)｜>)"
)
"""Where a turn begins with Qwen, Llama, Gemma, GLM, Kimi, gpt-oss, DeepSeek and Mistral."""
_ASSISTANTS = ("assistant", "model")
_ENDS_OF_OTHERS = ("</tool_response>", "<｜tool▁outputs▁end｜>", "[/inst]", "[/tool_results]")
_TURN_END = re.compile(
    r"(?:<\|(?:im_end|eot_id|end|return|endoftext)\|>|<end_of_turn>|<｜end▁of▁sentence｜>|</s>)\s*\Z"
)
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
    if not _is_of_assistant(last):
        return ""
    rest = _TURN_END.sub("", text[last.end() :])
    return _BARE_ROLE.sub("", rest) if last["tool"] else rest


def _is_of_assistant(mark: re.Match[str]) -> bool:
    """Whether what follows a mark is said by the assistant, and not in its thoughts."""
    names = ("role", "harmony", "deepseek", "mistral", "tool")
    word = next(mark[name] for name in names if mark[name]).lower()
    if word in _ENDS_OF_OTHERS:
        return True
    return word in _ASSISTANTS and (mark["channel"] or "final") == "final"


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
