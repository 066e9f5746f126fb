"""Preference data: pairs {prompt, chosen, rejected} and labelled rows {prompt, response, label}.

A source is read whole and every row's form is checked before anything is tokenised; faults come
with their file, row and reason. The making of pairs by a judge is `r1.preferences.votes`.

What is asked is a text or a list of turns, which `chosen` and `rejected` may also begin with, as in
UltraFeedback, or as one text, as in HH-RLHF ("\n\nHuman: ...\n\nAssistant: ..."); it may be a
dialogue that a user's turn ends, after a system turn or none.

Left out on purpose: rankings of more than two (write them as pairs).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from r1.data.columns import ABSENT, missing_name, take_column, top_names
from r1.data.layouts import TEXTS, input_column, refuse_labelled_steps
from r1.data.opened import limited, open_source
from r1.data.rows import FaultyRows, RowError, Rows, missing_column, shown
from r1.data.turns import (
    LIST_COLUMNS,
    Turn,
    TurnKeys,
    asked_turns,
    dialogue_turns,
    input_text,
    read_turns,
    text_of,
    with_input,
)
from r1.errors import UserError
from r1.preferences import tiny
from r1.preferences.source import PreferenceColumns, PreferenceSource
from r1.preferences.steps import load_step_labels
from r1.preferences.types import Form, Labelled, Pair, Preference, Preferences

REQUIRED: dict[Form, tuple[str, ...]] = {
    "pairs": ("chosen", "rejected"),  # the prompt may be the first turns of both
    "labels": ("prompt", "response", "label"),
    "steps": (),  # r1.preferences.steps knows several layouts
}
PROMPTS = (*LIST_COLUMNS, "question", "instruction", "query")
"""What public data sets of pairs call the prompt, beside "prompt"."""

LIKELY = {
    "prompt": ("question", "query", "instruction", "input", "problem"),
    "chosen": ("response_chosen", "preferred", "accepted", "better", "positive"),
    "rejected": ("response_rejected", "dispreferred", "worse", "negative"),
    "response": ("completion", "answer", "output", "text"),
    "label": ("is_safe", "safe", "labels", "score"),
}


def load_preferences(source: PreferenceSource, form: Form, base_folder: Path) -> Preferences:
    """Read and check a source of pairs, of labelled rows or of labelled steps.

    Raises UserError for a missing, unreadable or empty file, missing columns, and with the first
    ten rows that cannot be used: their number and the reason.
    """
    if form == "steps":
        return load_step_labels(source, base_folder)
    if source.kind == "tiny":
        drawn = tiny.draw_pairs(source) if form == "pairs" else tiny.draw_labels(source)
        return Preferences(source.label, list(range(1, len(drawn) + 1)), list(drawn), {}, 0)
    opened = open_source(source, base_folder, "preference")
    source, wanted = known_columns(source, form, opened.columns, opened.origin)
    left_out = tuple(name for name in opened.columns if name in TEXTS and name not in wanted)
    return check_rows(opened.read(wanted), source, form, opened.origin)._replace(left_out=left_out)


def check_rows(rows: Rows, source: PreferenceSource, form: Form, origin: str) -> Preferences:
    """Turn (row number, columns) pairs into preferences; raises UserError as load_preferences."""
    faults = FaultyRows(origin)
    found = Preferences(origin, [], [], {}, 0, source.unusable == "drop")
    dropped: Counter[str] = Counter()
    seen: dict[tuple[str, ...], int] = {}
    contradictions = 0
    read = _read_pair if form == "pairs" else _read_labelled
    for number, row in limited(rows, source.limit):
        try:
            if isinstance(row, RowError):
                raise row
            item: Preference = read(row, source)
            reason = _useless(item) or _repeated(item, number, seen)
        except _UselessPairError as fault:
            reason = fault.reason
        except RowError as fault:
            faults.add(number, str(fault))
            continue
        if reason is None:
            contradictions += _opposite(item) in seen
            found.rows.append(number)
            found.items.append(item)
        elif source.unusable == "drop":
            dropped[reason.name] += 1
        else:
            faults.add(number, f'{reason.text}; mend it, or set unusable = "drop"')
    faults.raise_if_any()
    if not found.items:
        raise UserError(f"{origin} has no usable rows; give at least one preference.")
    return found._replace(dropped=dict(dropped), contradictions=contradictions)


class _Reason(NamedTuple):
    name: str
    text: str


def _useless(item: Preference) -> _Reason | None:
    if not isinstance(item, Pair):
        if not item.response.strip():
            return _Reason("empty response", "the response is empty")
        return None
    for name, text in (("chosen", item.chosen), ("rejected", item.rejected)):
        if not text.strip():
            return _Reason("empty response", f"{name} is empty")
    if item.chosen.strip() == item.rejected.strip():
        return _Reason("equal responses", "chosen and rejected are equal, so nothing is preferred")
    return None


def _repeated(item: Preference, number: int, seen: dict[tuple[str, ...], int]) -> _Reason | None:
    """Note the row; say so where an earlier one holds the same."""
    first = seen.setdefault(_key(item), number)
    if first == number:
        return None
    return _Reason("repetition", f"it repeats row {first}")


def _key(item: Preference) -> tuple[str, ...]:
    if isinstance(item, Pair):
        return (item.context, item.chosen, item.rejected)
    assert isinstance(item, Labelled)
    return (item.context, item.response, str(item.positive))


def _opposite(item: Preference) -> tuple[str, ...]:
    if isinstance(item, Pair):
        return (item.context, item.rejected, item.chosen)
    assert isinstance(item, Labelled)
    return (item.context, item.response, str(not item.positive))


def known_columns(
    source: PreferenceSource, form: Form, names: list[str], origin: str
) -> tuple[PreferenceSource, list[str]]:
    """The source with the columns of a known layout, and the columns worth reading.

    Raises UserError where one is missing.
    """
    columns = source.columns
    if form == "pairs" and columns.prompt == _default("prompt") and columns.prompt not in names:
        known = next((name for name in PROMPTS if name in names), columns.prompt)
        columns = columns.model_copy(update={"prompt": known})
    given = columns.model_dump(exclude={"role", "content"})  # keys of a turn
    named = [
        field for field, column in given.items() if column != getattr(source.columns, field)
    ] + [field for field in given if getattr(source.columns, field) != _default(field)]
    for field in dict.fromkeys([*REQUIRED[form], *named]):
        missing = missing_name(given[field], names)
        if missing:
            refuse_labelled_steps(names, origin)
            raise UserError(f"{origin}: {missing_column(field, missing, names, LIKELY)}")
    wanted: set[str | None] = {
        name for column in given.values() for name in top_names(column, names)
    }
    wanted.add(_input_of(columns, names))
    kept = [name for name in names if name in wanted]
    return source.model_copy(update={"columns": columns}), kept


def _input_of(columns: PreferenceColumns, names: Iterable[str]) -> str | None:
    """The column that goes on with the prompt, where that is an instruction with one."""
    taken = [columns.chosen, columns.rejected, columns.response, columns.label]
    return input_column(columns.prompt, names, taken)


def _default(field: str) -> str:
    return str(PreferenceColumns.model_fields[field].get_default())


class _UselessPairError(Exception):
    """A pair that no comparison can be learnt from."""

    def __init__(self, reason: _Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


def _read_pair(row: Mapping[str, Any], source: PreferenceSource) -> Pair:
    columns = source.columns
    before_chosen, chosen = _response(_take(row, "chosen", source), "chosen", source)
    before_rejected, rejected = _response(_take(row, "rejected", source), "rejected", source)
    given = take_column(row, columns.prompt)
    if given is not None and given is not ABSENT:
        asked = _prompt(given, row, source)
    elif before_chosen:
        asked = _with_system(before_chosen, row, source)
    else:
        raise RowError(missing_column("prompt", columns.prompt, row, LIKELY))
    for name, other in (("chosen", before_chosen), ("rejected", before_rejected)):
        if not _answers(other, asked):
            text = f"what {name} answers is not the prompt; both must answer it"
            raise _UselessPairError(_Reason("different prompts", text))
    *earlier, (_, prompt) = _checked(asked)
    return Pair(prompt, chosen, rejected, _margin(row.get(columns.margin)), *_kind(row, source),
                tuple(earlier))  # fmt: skip


def _checked(turns: list[Turn]) -> list[Turn]:
    """The turns; RowError unless they end with a user's, which is not empty."""
    asked_turns([{"role": role, "content": text} for role, text in turns])
    if not turns[-1][1].strip():
        raise RowError("prompt is empty; give the question")
    return turns


def _read_labelled(row: Mapping[str, Any], source: PreferenceSource) -> Labelled:
    asked = _prompt(_take(row, "prompt", source), row, source)
    before, response = _response(_take(row, "response", source), "response", source)
    if not _answers(before, asked):
        raise RowError("what response answers is not the prompt")
    *earlier, (_, prompt) = _checked(asked)
    return Labelled(prompt, response, _label(_take(row, "label", source), source),
                    *_kind(row, source), tuple(earlier))  # fmt: skip


def _answers(before: list[Turn], asked: list[Turn]) -> bool:
    """Whether the turns that a response holds, if any, are those asked, but for a system turn."""
    return not before or before in (asked, [turn for turn in asked if turn[0] != "system"])


def _take(row: Mapping[str, Any], field: str, source: PreferenceSource) -> Any:
    column = getattr(source.columns, field)
    value = take_column(row, column)
    if value is ABSENT:
        raise RowError(missing_column(field, column, row, LIKELY))
    if value is None:
        raise RowError(f"{column} is null")
    return value


def _prompt(value: Any, row: Mapping[str, Any], source: PreferenceSource) -> list[Turn]:
    """The turns that are answered, one where the value is a text, after the row's system prompt.

    An instruction's `input` or `context` ends them.
    """
    turns = _turns(value, "prompt", source)
    if turns is None:
        turns = [("user", text_of(value, "prompt"))]
    extra = _input_of(source.columns, row)
    if more := input_text(row, extra):
        if turns[-1][0] != "user":
            raise RowError(f"{extra} follows the prompt, but the last turn of that is no user's")
        turns[-1] = ("user", with_input(turns[-1][1], more))
    return _with_system(turns, row, source)


def _with_system(turns: list[Turn], row: Mapping[str, Any], source: PreferenceSource) -> list[Turn]:
    """The turns after the row's system prompt, where it has one and they do not begin with one."""
    system = row.get(source.columns.system)
    if system is None or not text_of(system, "system").strip() or turns[0][0] == "system":
        return turns
    return [("system", system), *turns]


def _response(value: Any, name: str, source: PreferenceSource) -> tuple[list[Turn], str]:
    """(what the value holds of the turns that are answered, the response)."""
    turns = _turns([value] if isinstance(value, Mapping) else value, name, source)
    if turns is None:
        return [], text_of(value, name)
    if turns[-1][0] != "assistant":
        roles = ", ".join(role for role, _ in turns)
        raise RowError(
            f"{name} is a chat with the turns {roles}; give the assistant's turn, or what it "
            "answers and the assistant's turn"
        )
    return turns[:-1], turns[-1][1]


def _turns(value: Any, name: str, source: PreferenceSource) -> list[Turn] | None:
    """The turns that a value holds; None for a text that is no dialogue."""
    if isinstance(value, str):
        found = dialogue_turns(value)
        return None if found is None else [(turn["role"], turn["content"]) for turn in found]
    if not isinstance(value, list):
        raise RowError(f"{name} is {shown(value)}; it must be a text or a list of turns")
    keys = TurnKeys(source.columns.role, source.columns.content, source.roles)
    return [(turn["role"], turn["content"]) for turn in read_turns(value, name, keys)]


def _label(value: Any, source: PreferenceSource) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        text = value.strip().lower()
        for names, meaning in ((source.positive, True), (source.negative, False)):
            if text in [name.lower() for name in names]:
                return meaning
    known = ", ".join([*source.positive, *source.negative])
    raise RowError(
        f"label is {value!r}; give true or false, 1 or 0, or one of {known} "
        "(positive and negative name others)"
    )


def _margin(value: Any) -> float:
    if value is None:
        return 0.0
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise RowError(f"margin is {value!r}; give a number of at least 0, or leave it out")
    return float(value)


def _kind(row: Mapping[str, Any], source: PreferenceSource) -> tuple[str, str]:
    language, family = row.get(source.columns.language), row.get(source.columns.family)
    return (
        "" if language is None else text_of(language, "language"),
        "" if family is None else text_of(family, "family"),
    )
