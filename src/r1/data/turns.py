"""The turns of a conversation as files hold them: checked, or refused with the reason.

A turn is {"role": ..., "content": ...}; ShareGPT's {"from": ..., "value": ...} is read with other
keys and role names. Whatever else a turn holds (`reasoning_content`, `tool_calls`) stays in it.

Left out on purpose: images and other content that is not text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1.data.rows import RowError, shown
from r1.data.thinking import thinking_of

ROLES = ("system", "developer", "user", "assistant", "tool")


class TurnKeys(NamedTuple):
    """How a file writes a turn. roles: its names of roles -> ours; known: the roles taken."""

    role: str = "role"
    content: str = "content"
    roles: Mapping[str, str] = {}
    known: tuple[str, ...] = ROLES


def read_turns(value: Any, name: str, keys: TurnKeys) -> list[dict[str, Any]]:
    """Return a column's list of turns with the keys role and content; RowError where it is none."""
    if not isinstance(value, list):
        raise RowError(f"{name} is {shown(value)}; it must be a list of turns")
    if not value:
        raise RowError(f"{name} is empty; give a user turn and an assistant turn")
    return [_turn(turn, number, keys) for number, turn in enumerate(value, start=1)]


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
    if keys.role not in value:
        hint = ""
        if "from" in value and "value" in value:
            hint = '; for ShareGPT set columns = { ..., role = "from", content = "value" }'
        raise RowError(f'{where} has no "{keys.role}" (it has {", ".join(map(str, value))}){hint}')
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
