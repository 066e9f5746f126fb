"""The turns of a conversation as files hold them: checked, or refused with the reason.

A turn is {"role": ..., "content": ...}, or ShareGPT's {"from": ..., "value": ...}, told by its
keys; other keys and names of roles are the recipe's to say. Whatever else a turn holds
(`reasoning_content`, `tool_calls`) stays in it. HH-RLHF's dialogues in one text ("\n\nHuman: ...
\n\nAssistant: ...") are taken apart.

Left out on purpose: images and other content that is not text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1.data.rows import RowError, refuse_half_characters, shown
from r1.data.thinking import thinking_of
from r1.files.json_text import FormatError, parse_json

ROLES = ("system", "developer", "user", "assistant", "tool")
LIST_COLUMNS = ("messages", "conversations", "conversation")
"""What data sets call a column of turns."""

SHAREGPT_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "observation": "tool",
}
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_SPOKEN = re.compile(r"(?:^|\n\n)(Human|Assistant):")


Turn = tuple[str, str]
"""Who speaks, and what."""


class TurnKeys(NamedTuple):
    """How a file writes a turn. roles: its names of roles -> ours; known: the roles taken."""

    role: str = "role"
    content: str = "content"
    roles: Mapping[str, str] = {}
    known: tuple[str, ...] = ROLES


def read_turns(value: Any, name: str, keys: TurnKeys) -> list[dict[str, Any]]:
    """Return a column's list of turns with the keys role and content; RowError where it is none."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = _parsed(value, name)
    if not isinstance(value, list):
        raise RowError(f"{name} is {shown(value)}; it must be a list of turns")
    if not value:
        raise RowError(f"{name} is empty; give a user turn and an assistant turn")
    return [_turn(turn, number, keys) for number, turn in enumerate(value, start=1)]


def dialogue_turns(text: str) -> list[dict[str, Any]] | None:
    """The turns of a dialogue in one text, as HH-RLHF writes them; None for any other text."""
    if not text.startswith(("\n\nHuman:", "Human:")):
        return None
    found = list(_SPOKEN.finditer(text))
    if all(match[1] == "Human" for match in found):
        return None
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [
        {"role": _SPEAKERS[match[1]], "content": text[match.end() : end].strip()}
        for match, end in zip(found, ends, strict=True)
    ]


EARLIER = "earlier"
"""The column of the turns before a prompt, in the rows that r1 writes itself."""


def written_earlier(earlier: Sequence[Turn]) -> str | None:
    """The turns before a prompt as that column holds them; None for none."""
    turns = [{"role": role, "content": text} for role, text in earlier]
    return json.dumps(turns, ensure_ascii=False) if turns else None


def earlier_turns(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The turns before a row's prompt; none where the row says nothing of such."""
    value = row.get(EARLIER)
    return [] if value is None else read_turns(value, EARLIER, TurnKeys())


def input_text(row: Mapping[str, Any], column: str | None) -> str:
    """The text that goes on with a row's prompt; "" where there is none."""
    value = None if column is None else row.get(column)
    text = "" if value is None else text_of(value, str(column))
    return text if text.strip() else ""


def with_input(prompt: str, text: str) -> str:
    """A prompt and the text that goes on with it, after a blank line."""
    return f"{prompt.rstrip()}\n\n{text}"


def asked_turns(turns: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """(role, text) of turns that ask for a response; RowError unless they end with a user's.

    A system turn may come first; users and assistants follow.
    """
    pairs = [(str(turn["role"]), str(turn["content"])) for turn in turns]
    roles = [role for role, _ in pairs]
    middle = roles[1:] if roles[0] in ("system", "developer") else roles
    if roles[-1] != "user" or set(middle) - {"user", "assistant"}:
        shown_roles = ", ".join(roles)
        raise RowError(f"the prompt has the turns {shown_roles}; it must end with a user turn")
    return pairs


def check_turns(turns: Sequence[Mapping[str, Any]]) -> None:
    """Raise RowError unless a user's turn comes first and an assistant's with text last."""
    roles = [turn["role"] for turn in turns]
    if "assistant" not in roles:
        raise RowError("no assistant turn, so there is no response to learn; add one")
    if roles[-1] != "assistant":
        raise RowError(f"ends with a {roles[-1]} turn; remove it or add the response to it")
    for number, turn in enumerate(turns, start=1):
        if turn["role"] == "assistant":
            thinking_of(turn)
        if turn["role"] == "assistant" and not turn["content"].strip():
            raise RowError(f"the response is empty (turn {number})")
        if turn["role"] == "user" and not turn["content"].strip():
            raise RowError(f"the prompt is empty (turn {number})")
        if turn["role"] in ("system", "developer") and number > 1:
            raise RowError(f"turn {number} is by the {turn['role']}; it may only be the first")
    if "user" not in roles[: roles.index("assistant")]:
        raise RowError("begins with an assistant turn; a user turn must come before it")


def text_of(value: Any, name: str) -> str:
    """Return a text as it is; RowError for anything else."""
    if not isinstance(value, str):
        raise RowError(f"{name} is {shown(value)}; it must be a text")
    return value


def _turn(value: Any, number: int, keys: TurnKeys) -> dict[str, Any]:
    where = f"turn {number}"
    if not isinstance(value, Mapping):
        raise RowError(f"{where} is {shown(value)}; it must be an object with role and content")
    if keys.role not in value and {"from", "value"} <= value.keys():
        keys = keys._replace(role="from", content="value")
    if keys.role not in value:
        raise RowError(f'{where} has no "{keys.role}" (it has {", ".join(map(str, value))})')
    if keys.role == "from":
        keys = keys._replace(roles={**SHAREGPT_ROLES, **keys.roles})
    given = value[keys.role]
    role = keys.roles.get(given, given) if isinstance(given, str) else given
    if role not in keys.known:
        hint = f'; translate it with roles = {{ {given} = "assistant" }} or "user"'
        known = f"known: {', '.join(keys.known)}"
        raise RowError(
            f"{where}: role {given!r} is unknown ({known}){hint if keys.known == ROLES else ''}"
        )
    others = {
        key: item
        for key, item in value.items()
        if key not in (keys.role, keys.content) and item is not None
    }
    if role == "assistant":
        _refuse_unlearnt(others, where)
    content = _content(value.get(keys.content), f"{where}: {keys.content}")
    return {"role": role, "content": content, **others}


def _refuse_unlearnt(others: Mapping[str, Any], where: str) -> None:
    """Refuse a turn marked as not to be learnt: every assistant turn is learnt."""
    for key in ("weight", "loss_weight", "train"):
        if key in others and others[key] not in (1, True):
            raise RowError(
                f"{where} has {key} = {others[key]!r}, and every assistant turn is learnt alike; "
                'remove the key, or set examples.turns = "last" and take it from earlier turns'
            )


def _content(value: Any, name: str) -> str:
    """Return a text, also of OpenAI's list of text parts."""
    if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        if any(part.get("type") != "text" for part in value):
            raise RowError(f"{name} holds something that is no text; only text can be learnt")
        return "".join(text_of(part.get("text"), name) for part in value)
    return text_of(value, name)


def _parsed(text: str, name: str) -> Any:
    """A list that a file without nested columns holds as JSON."""
    try:
        value = parse_json(text)
    except FormatError as fault:
        raise RowError(f"{name} begins like a list of turns, but {fault}") from None
    refuse_half_characters(value, name)
    return value
