"""From a row of a file to a conversation whose form is right, or to the reason why it is not.

A row is a list of turns (`messages`, ShareGPT's `conversations`) or a prompt and a response, each a
text or a list of turns; where the recipe names no columns, public data sets' own are known.
Whatever else a turn holds (`reasoning_content`, `tool_calls`) travels on to the chat template; what
neither it nor anything else would read is refused or told.

Left out on purpose: turns that a text made of columns would hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from r1.data.columns import ABSENT, missing_name, take_column, top_names
from r1.data.layouts import INPUTS, TEXTS, input_column, refuse_labelled_steps
from r1.data.rows import RowError, missing_column, read_id
from r1.data.turns import (
    EARLIER,
    LIST_COLUMNS,
    TurnKeys,
    check_turns,
    earlier_turns,
    input_text,
    read_turns,
    text_of,
    with_input,
)
from r1.errors import UserError
from r1.sft.settings import PAIR, ExampleColumns, ExampleSource

PAIRS = (
    ("prompt", "response"),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "response"),
    ("query", "response"),
    ("problem", "solution"),
    ("question", "answer"),
    ("question", "output"),
)
"""What public data sets call a prompt and its response (TRL, Alpaca, Dolly, MATH, GSM8K)."""

LIKELY = {
    "messages": ("conversations", "conversation", "chat", "turns"),
    "prompt": ("problem", "question", "query", "instruction", "input"),
    "response": ("completion", "generation", "answer", "output", "solution", "target"),
}

THINKING = "reasoning_content"
"""The column of a row's thinking; its other names also mean a mode ("on") or a language."""


class Conversation(NamedTuple):
    """One example before its template: turns of role and content, the last by the assistant."""

    row: int
    id: str | None
    turns: tuple[dict[str, Any], ...]


class RowLayout(NamedTuple):
    """How a source's rows are to be read, and the columns that takes.

    fields: the recipe's columns, or the known ones. input: the column whose text follows the
    prompt. history: the column of earlier prompts and responses. left_out: columns that hold
    something to learn from, most likely, and are not read.
    """

    kind: Literal["messages", "pair"]
    columns: tuple[str, ...]
    fields: ExampleColumns
    input: str | None = None
    history: str | None = None
    left_out: tuple[str, ...] = ()


def choose_layout(source: ExampleSource, names: Iterable[str], origin: str) -> RowLayout:
    """Decide by the recipe, else by the columns there are; UserError where one is missing."""
    present = list(names)
    columns = _known_columns(source.columns, present)
    pair = columns.named & PAIR
    kind: Literal["messages", "pair"]
    if "messages" in columns.named or (not pair and columns.messages in present):
        kind, fields = "messages", ["messages"]
    elif pair or columns.prompt in present or columns.response in present:
        kind, fields = "pair", ["prompt", "response"]
    else:
        refuse_labelled_steps(present, origin)
        raise UserError(f"{origin}: {_no_format(present)}")
    fields += [field for field in ("id", "system", "input") if field in columns.named]
    for field in fields:
        missing = missing_name(getattr(columns, field) or "", present)
        if missing:
            raise UserError(f"{origin}: {missing_column(field, missing, present, LIKELY)}")
    wanted = {
        name
        for field in (*fields, "id")
        for name in top_names(getattr(columns, field) or "", present)
    }
    wanted.add(columns.system)
    extra = history = None
    if kind == "pair":
        extra = _input_of(columns, present)
        if columns.prompt == "instruction" and "history" in present:
            history = "history"
        wanted |= {name for name in (extra, history) if name} | {THINKING, EARLIER}
    kept = tuple(name for name in present if name in wanted)
    refused = {columns.input or "input"} if columns.input == "" else set()
    left_out = tuple(name for name in present if name in TEXTS and name not in wanted | refused)
    return RowLayout(kind, kept, columns, extra, history, left_out)


def _known_columns(columns: ExampleColumns, present: Sequence[str]) -> ExampleColumns:
    """The recipe's columns; where it names none for the text, those of a known data set."""
    if columns.named & (PAIR | {"messages"}) or columns.messages in present:
        return columns
    if columns.prompt in present and columns.response in present:
        return columns
    turns = next((name for name in LIST_COLUMNS if name in present), None)
    if turns is not None:
        return columns.model_copy(update={"messages": turns})
    pairs = (pair for pair in PAIRS if set(pair) <= set(present))
    prompt, response = next(pairs, (columns.prompt, columns.response))
    return columns.model_copy(update={"prompt": prompt, "response": response})


def _input_of(columns: ExampleColumns, present: Sequence[str]) -> str | None:
    """The column that goes on with the prompt: the recipe's, or an instruction's own."""
    if columns.input is not None:
        return columns.input or None
    return input_column(columns.prompt, present, [columns.response])


def read_conversation(
    number: int, row: Mapping[str, Any], source: ExampleSource, layout: RowLayout
) -> Conversation:
    """Read and check one row; RowError says what is wrong with it."""
    columns = layout.fields
    if layout.kind == "messages":
        turns = read_turns(_take(row, "messages", columns), "messages", _keys(source))
        turns = _system_turn(row, columns, turns) + turns
    else:
        turns = _prompt_turns(row, source, layout)
        turns += _response_turns(row, source, layout)
    check_turns(turns)
    own_id = row.get(columns.id)
    return Conversation(number, None if own_id is None else read_id(own_id), tuple(turns))


def _prompt_turns(
    row: Mapping[str, Any], source: ExampleSource, layout: RowLayout
) -> list[dict[str, Any]]:
    columns, extra = layout.fields, layout.input
    prompt = _take(row, "prompt", columns)
    if isinstance(prompt, list):
        turns = read_turns(prompt, "prompt", _keys(source))
    else:
        turns = [{"role": "user", "content": text_of(prompt, "prompt")}]
    if more := input_text(row, extra):
        if turns[-1]["role"] != "user":
            raise RowError(f"{extra} follows the prompt, but the last turn of that is no user's")
        turns[-1]["content"] = with_input(turns[-1]["content"], more)
    turns = earlier_turns(row) + _history_turns(row.get(layout.history or "")) + turns
    return _system_turn(row, columns, turns) + turns


def _system_turn(
    row: Mapping[str, Any], columns: ExampleColumns, turns: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The turn that a row's system prompt is, if it has one that its turns do not hold."""
    system = row.get(columns.system)
    if system is None or not text_of(system, "system").strip() or turns[0]["role"] == "system":
        return []
    return [{"role": "system", "content": system}]


def _history_turns(history: Any) -> list[dict[str, Any]]:
    """The earlier rounds that LLaMA-Factory's Alpaca files hold: [[prompt, response], ...]."""
    turns: list[dict[str, Any]] = []
    for number, round_ in enumerate(history or [], start=1):
        if not isinstance(round_, list) or len(round_) != 2:
            raise RowError(f"round {number} of history is no list of a prompt and a response")
        for role, text in zip(("user", "assistant"), round_, strict=True):
            turns.append({"role": role, "content": text_of(text, f"round {number} of history")})
    return turns


def _response_turns(
    row: Mapping[str, Any], source: ExampleSource, layout: RowLayout
) -> list[dict[str, Any]]:
    response = _take(row, "response", layout.fields)
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
    value = take_column(row, column)
    if value is ABSENT:
        raise RowError(missing_column(field, column, row, LIKELY))
    if value is None:
        raise RowError(f"{column} is null")
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
