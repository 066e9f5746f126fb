"""From a row of a file to a conversation whose form is right, or to the reason why it is not.

A row is a list of turns (`messages`, ShareGPT's `conversations`) or a prompt and a response, each a
text or a list of turns. Whatever else a turn holds (`reasoning_content`, `tool_calls`) travels on
to the chat template; what neither it nor anything else would read is refused or told.

Left out on purpose: nested columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from r1.data.rows import RowError, missing_column, read_id
from r1.data.thinking import APART
from r1.data.turns import TurnKeys, check_turns, read_turns, text_of
from r1.errors import UserError
from r1.sft.settings import PAIR, ExampleColumns, ExampleSource

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
        turns = read_turns(_take(row, "messages", columns), "messages", _keys(source))
    else:
        turns = _prompt_turns(row, source, layout.input)
        turns += _response_turns(row, source)
    check_turns(turns)
    own_id = row.get(columns.id)
    return Conversation(number, None if own_id is None else read_id(own_id), tuple(turns))


def _prompt_turns(
    row: Mapping[str, Any], source: ExampleSource, extra: str | None
) -> list[dict[str, Any]]:
    columns = source.columns
    prompt = _take(row, "prompt", columns)
    if isinstance(prompt, list):
        turns = read_turns(prompt, "prompt", _keys(source))
    else:
        turns = [{"role": "user", "content": text_of(prompt, "prompt")}]
    more = None if extra is None else row.get(extra)
    if more is not None and text_of(more, str(extra)).strip():
        if turns[-1]["role"] != "user":
            raise RowError(f"{extra} follows the prompt, but the last turn of that is no user's")
        turns[-1]["content"] = f"{turns[-1]['content'].rstrip()}\n\n{more}"
    system = row.get(columns.system)
    if system is not None:
        turns.insert(0, {"role": "system", "content": text_of(system, "system")})
    return turns


def _response_turns(row: Mapping[str, Any], source: ExampleSource) -> list[dict[str, Any]]:
    response = _take(row, "response", source.columns)
    apart = {} if row.get(THINKING) is None else {THINKING: row[THINKING]}
    if not isinstance(response, list):
        return [{"role": "assistant", "content": text_of(response, "response"), **apart}]
    turns = read_turns(response, "response", _keys(source))
    if [turn["role"] for turn in turns] != ["assistant"]:
        raise RowError("response is a list of turns; it must be one assistant turn")
    return turns


def _keys(source: ExampleSource) -> TurnKeys:
    return TurnKeys(source.columns.role, source.columns.content, source.roles)


def _take(row: Mapping[str, Any], field: str, columns: ExampleColumns) -> Any:
    column = getattr(columns, field)
    if column not in row:
        raise RowError(missing_column(field, column, row, LIKELY))
    if row[column] is None:
        raise RowError(f"{column} is null")
    return row[column]


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
