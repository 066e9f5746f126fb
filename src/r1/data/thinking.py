"""The thinking that a data set keeps apart from an assistant turn's content (torch-free).

    {"role": "assistant", "reasoning_content": "1 and one is 2", "content": "2"}

becomes `<think>\\n1 and one is 2\\n</think>\\n\\n2`, as the R1 family answers, or with
`answer_tags` Table 1's, `<think>\\n...\\n</think>\\n<answer>2</answer>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r1.data.rows import RowError, shown

APART = ("reasoning_content", "reasoning", "thinking")
"""What data sets and endpoints call it."""


def thinking_of(turn: Mapping[str, Any]) -> str | None:
    """The thinking that a turn holds apart from its content, None where there is none.

    None too where the content repeats it. RowError where it is no text, or where two names, or one
    and the content, hold different thinking.
    """
    found = {key: turn[key] for key in APART if turn.get(key) is not None}
    for key, value in found.items():
        if not isinstance(value, str):
            raise RowError(f"{key} is {shown(value)}; it must be a text")
    texts = {key: text for key, text in found.items() if text.strip()}
    if len({text.strip() for text in texts.values()}) > 1:
        raise RowError(f"a turn holds {' and '.join(texts)}, which differ; keep one of them")
    content = str(turn.get("content"))
    for key, text in texts.items():
        if "<think>" not in content:
            return text.strip()
        if text.strip() not in content:
            raise RowError(f"a turn has one thinking in {key}, another in its content; keep one")
    return None


def response_of(turn: Mapping[str, Any], answer_tags: bool = False) -> str:
    """A turn's content, an assistant's after the thinking where that is kept apart.

    answer_tags: the content then stands inside <answer> tags, as Table 1 asks for.
    """
    content: str = turn["content"]
    thinking = thinking_of(turn) if turn.get("role") == "assistant" else None
    if thinking is None:
        return content
    opened = f"<think>\n{thinking}\n</think>\n"
    if not answer_tags:
        return f"{opened}\n{content.lstrip()}"
    answer = content.strip()
    return opened + (answer if "<answer>" in answer else f"<answer>{answer}</answer>")
