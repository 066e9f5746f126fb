"""From a row of a file to a conversation whose form is right, or to the reason why it is not.

A row is a list of turns (`messages`, ShareGPT's `conversations`) or a prompt and a response, each a
text or a list of turns. Whatever else a turn holds (`reasoning_content`, `tool_calls`) travels on
to the chat template; what neither it nor anything else would read is refused or told.

Left out on purpose: images and other content that is not text, and nested columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from r1.data.rows import RowError, missing_column, read_id, shown
from r1.data.thinking import APART, thinking_of
from r1.errors import UserError
from r1.sft.settings import PAIR, ROLES, ExampleColumns, ExampleSource

LIKELY = {
    "messages": ("conversations", "conversation", "chat", "turns"),
    "prompt": ("problem", "question", "query", "instruction", "input"),
    "response": ("completion", "generation", "answer", "output", "solution", "target"),
}


INPUTS = ("input", "context")
"""What Alpaca's and Dolly's files call the second part of a prompt."""

THINKING = "reasoning_content"
"""The column of a row's thinking; its other names also mean a mode ("on") or a language."""

TEXTS = (*INPUTS, *APART, "rationale", "thoughts", "system", "system_prompt", "history", "tools")
"""Columns that most likely hold something to learn from."""


class Conversation(NamedTuple):
    """One example before its template: turns of role and content, the last by the assistant."""

    row: int
    id: str | None
    turns: tuple[dict[str, Any], ...]


class RowLayout(NamedTuple):
    """How a source's rows are to be read, and the columns that takes.

    input: the column whose text follows the prompt. left_out: columns that hold something to learn
    from, most likely, and are not read.
    """

    kind: Literal["messages", "pair"]
    columns: tuple[str, ...]
    input: str | None = None
    left_out: tuple[str, ...] = ()


def choose_layout(source: ExampleSource, names: Iterable[str], origin: str) -> RowLayout:
    """Decide by the recipe, else by the columns there are; UserError where one is missing."""
    columns, present = source.columns, list(names)
    pair = columns.named & PAIR
    kind: Literal["messages", "pair"]
    if "messages" in columns.named or (not pair and columns.messages in present):
        kind, fields = "messages", ["messages"]
    elif pair or columns.prompt in present or columns.response in present:
        kind, fields = "pair", ["prompt", "response"]
    else:
        raise UserError(f"{origin}: {_no_format(present)}")
    fields += [field for field in ("id", "system", "input") if field in columns.named]
    for field in fields:
        column = getattr(columns, field)
        if column and column not in present:
            raise UserError(f"{origin}: {missing_column(field, column, present, LIKELY)}")
    wanted = {getattr(columns, field) for field in (*fields, "id")}
    extra = None
    if kind == "pair":
        extra = _input_of(columns, present)
        wanted |= {columns.system, extra, THINKING}
    kept = tuple(name for name in present if name in wanted)
    refused = {columns.input or "input"} if columns.input == "" else set()
    left_out = tuple(name for name in present if name in TEXTS and name not in wanted | refused)
    return RowLayout(kind, kept, extra, left_out)


def _input_of(columns: ExampleColumns, present: Sequence[str]) -> str | None:
    """The column that goes on with the prompt: the recipe's, or an instruction's own."""
    if columns.input is not None or columns.prompt != "instruction":
        return columns.input or None
    free = [name for name in INPUTS if name in present and name != columns.response]
    return next(iter(free), None)


def read_conversation(
    number: int, row: Mapping[str, Any], source: ExampleSource, layout: RowLayout
) -> Conversation:
    """Read and check one row; RowError says what is wrong with it."""
    columns = source.columns
    if layout.kind == "messages":
        turns = _turns(_take(row, "messages", columns), "messages", source)
    else:
        turns = _prompt_turns(row, source, layout.input)
        turns += _response_turns(row, source)
    _check(turns)
    own_id = row.get(columns.id)
    return Conversation(number, None if own_id is None else read_id(own_id), tuple(turns))


def _prompt_turns(
    row: Mapping[str, Any], source: ExampleSource, extra: str | None
) -> list[dict[str, Any]]:
    columns = source.columns
    prompt = _take(row, "prompt", columns)
    if isinstance(prompt, list):
        turns = _turns(prompt, "prompt", source)
    else:
        turns = [{"role": "user", "content": _text(prompt, "prompt")}]
    more = None if extra is None else row.get(extra)
    if more is not None and _text(more, str(extra)).strip():
        if turns[-1]["role"] != "user":
            raise RowError(f"{extra} follows the prompt, but the last turn of that is no user's")
        turns[-1]["content"] = f"{turns[-1]['content'].rstrip()}\n\n{more}"
    system = row.get(columns.system)
    if system is not None:
        turns.insert(0, {"role": "system", "content": _text(system, "system")})
    return turns


def _response_turns(row: Mapping[str, Any], source: ExampleSource) -> list[dict[str, Any]]:
    response = _take(row, "response", source.columns)
    apart = {} if row.get(THINKING) is None else {THINKING: row[THINKING]}
    if not isinstance(response, list):
        return [{"role": "assistant", "content": _text(response, "response"), **apart}]
    turns = _turns(response, "response", source)
    if [turn["role"] for turn in turns] != ["assistant"]:
        raise RowError("response is a list of turns; it must be one assistant turn")
    return turns


def _turns(value: Any, name: str, source: ExampleSource) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise RowError(f"{name} is {shown(value)}; it must be a list of turns")
    if not value:
        raise RowError(f"{name} is empty; give a user turn and an assistant turn")
    return [_turn(turn, number, source) for number, turn in enumerate(value, start=1)]


def _turn(value: Any, number: int, source: ExampleSource) -> dict[str, Any]:
    where, columns = f"turn {number}", source.columns
    if not isinstance(value, Mapping):
        raise RowError(f"{where} is {shown(value)}; it must be an object with role and content")
    if columns.role not in value:
        hint = ""
        if "from" in value and "value" in value:
            hint = '; for ShareGPT set columns = { ..., role = "from", content = "value" }'
        raise RowError(
            f'{where} has no "{columns.role}" (it has {", ".join(map(str, value))}){hint}'
        )
    given = value[columns.role]
    role = source.roles.get(given, given) if isinstance(given, str) else given
    if role not in ROLES:
        raise RowError(
            f"{where}: role {given!r} is unknown (known: {', '.join(ROLES)}); "
            f'translate it with roles = {{ {given} = "assistant" }} or "user"'
        )
    others = {
        key: item
        for key, item in value.items()
        if key not in (columns.role, columns.content) and item is not None
    }
    if role == "assistant":
        _refuse_unlearnt(others, where)
    content = _content(value.get(columns.content), f"{where}: {columns.content}")
    return {"role": role, "content": content, **others}


def _refuse_unlearnt(others: Mapping[str, Any], where: str) -> None:
    """A turn that says that it is not to be learnt would be learnt all the same."""
    for key in ("weight", "loss_weight", "train"):
        if key in others and others[key] not in (1, True):
            raise RowError(
                f"{where} has {key} = {others[key]!r}, and every assistant turn is learnt alike; "
                'remove the key, or set examples.turns = "last" and take it from earlier turns'
            )


def _content(value: Any, name: str) -> str:
    """A text, or OpenAI's list of text parts."""
    if isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
        if any(part.get("type") != "text" for part in value):
            raise RowError(f"{name} holds something that is no text; only text can be learnt")
        return "".join(_text(part.get("text"), name) for part in value)
    return _text(value, name)


def _check(turns: Sequence[Mapping[str, Any]]) -> None:
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


def _take(row: Mapping[str, Any], field: str, columns: ExampleColumns) -> Any:
    column = getattr(columns, field)
    if column not in row:
        raise RowError(missing_column(field, column, row, LIKELY))
    if row[column] is None:
        raise RowError(f"{column} is null")
    return row[column]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise RowError(f"{name} is {shown(value)}; it must be a text")
    return value


def _no_format(names: Sequence[str]) -> str:
    guesses = {
        field: next((name for name in likely if name in names), None)
        for field, likely in LIKELY.items()
    }
    if guesses["messages"]:
        remedy = f'columns = {{ messages = "{guesses["messages"]}" }}'
    else:
        extra = next((name for name in INPUTS if name in names and name != guesses["prompt"]), None)
        remedy = (
            f'columns = {{ prompt = "{guesses["prompt"] or "..."}", '
            + (f'input = "{extra}", ' if extra else "")
            + f'response = "{guesses["response"] or "..."}" }}'
        )
    return (
        "neither a column messages nor prompt and response; the columns are: "
        f"{', '.join(names[:12]) or 'none'}. Set {remedy}"
    )
