"""Preference data: pairs {prompt, chosen, rejected} and labelled rows {prompt, response, label}.

A source is read whole and every row's form is checked before anything is tokenised; faults come
with their file, row and reason. The making of pairs by a judge is `r1.preferences.votes`.

Left out on purpose: rankings of more than two (write them as pairs), and dialogues of several turns
(a reward model scores one response to one prompt, as reinforcement learning asks for them).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from r1.data import huggingface, jsonl, parquet
from r1.data.rows import FaultyRows, RowError, find_data, missing_column, require_file
from r1.data.turns import text_of
from r1.errors import UserError
from r1.preferences import tiny
from r1.preferences.source import PreferenceColumns, PreferenceSource
from r1.preferences.types import Form, Labelled, Pair, Preference, Preferences

Rows = Iterable[tuple[int, Mapping[str, Any] | RowError]]
REQUIRED: dict[Form, tuple[str, ...]] = {
    "pairs": ("chosen", "rejected"),  # the prompt may be the first turn of both
    "labels": ("prompt", "response", "label"),
}
LIKELY = {
    "prompt": ("question", "query", "instruction", "input", "problem"),
    "chosen": ("response_chosen", "preferred", "accepted", "better", "positive"),
    "rejected": ("response_rejected", "dispreferred", "worse", "negative"),
    "response": ("completion", "answer", "output", "text"),
    "label": ("is_safe", "safe", "labels", "score"),
}


def load_preferences(source: PreferenceSource, form: Form, base_folder: Path) -> Preferences:
    """Read and check a source of pairs or of labelled rows.

    Raises UserError for a missing, unreadable or empty file, missing columns, and with the first
    ten rows that cannot be used: their number and the reason.
    """
    if source.kind == "tiny":
        drawn = tiny.draw_pairs(source) if form == "pairs" else tiny.draw_labels(source)
        return Preferences(source.label, list(range(1, len(drawn) + 1)), list(drawn), {}, 0)
    origin, rows = _open(source, form, base_folder)
    return check_rows(rows, source, form, origin)


def check_rows(rows: Rows, source: PreferenceSource, form: Form, origin: str) -> Preferences:
    """Turn (row number, columns) pairs into preferences; raises UserError as load_preferences."""
    faults = FaultyRows(origin)
    found = Preferences(origin, [], [], {}, 0, source.unusable == "drop")
    dropped: Counter[str] = Counter()
    seen: dict[tuple[str, ...], int] = {}
    contradictions = 0
    read = _read_pair if form == "pairs" else _read_labelled
    for number, row in islice(rows, source.limit):
        try:
            if isinstance(row, RowError):
                raise row
            item = read(row, source)
            reason = _useless(item) or _repeated(item, number, seen)
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
    if isinstance(item, Labelled):
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
        return (item.prompt, item.chosen, item.rejected)
    return (item.prompt, item.response, str(item.positive))


def _opposite(item: Preference) -> tuple[str, ...]:
    if isinstance(item, Pair):
        return (item.prompt, item.rejected, item.chosen)
    return (item.prompt, item.response, str(not item.positive))


def _open(source: PreferenceSource, form: Form, base_folder: Path) -> tuple[str, Rows]:
    """The rows with only the columns that are needed."""
    if source.kind == "huggingface":
        origin, split = huggingface.open_split(source, base_folder)
        kept = _choose_columns(source, form, origin)(split.column_names)
        return origin, huggingface.read_rows(split.select_columns(kept))
    path = find_data(str(source.path), base_folder)
    choose = _choose_columns(source, form, str(path))
    if source.kind == "parquet":
        return str(path), parquet.read_rows(path, choose)
    require_file(path)
    first = next(iter(jsonl.read_rows(path)), None)
    if first is None:
        raise UserError(f"{path} is empty; give at least one preference, one JSON object a line.")
    if not isinstance(first[1], RowError):
        choose(list(first[1]))
    return str(path), jsonl.read_rows(path)


def _choose_columns(
    source: PreferenceSource, form: Form, origin: str
) -> Callable[[list[str]], list[str]]:
    """A function that checks a file's columns and returns those worth reading."""

    def choose(names: list[str]) -> list[str]:
        columns = source.columns.model_dump()
        named = [field for field in columns if columns[field] != _default(field)]
        for field in dict.fromkeys([*REQUIRED[form], *named]):
            if columns[field] not in names:
                raise UserError(f"{origin}: {missing_column(field, columns[field], names, LIKELY)}")
        return [name for name in names if name in columns.values()]

    return choose


def _default(field: str) -> str:
    return str(PreferenceColumns.model_fields[field].get_default())


def _read_pair(row: Mapping[str, Any], source: PreferenceSource) -> Pair:
    columns = source.columns
    chosen_prompt, chosen = _response(_take(row, "chosen", source), "chosen")
    rejected_prompt, rejected = _response(_take(row, "rejected", source), "rejected")
    given = row.get(columns.prompt)
    prompt = chosen_prompt if given is None else _prompt(given)
    if prompt is None:
        raise RowError(missing_column("prompt", columns.prompt, row, LIKELY))
    for name, other in (("chosen", chosen_prompt), ("rejected", rejected_prompt)):
        if other is not None and other != prompt:
            raise RowError(f"the user turn of {name} is not the prompt; both must answer it")
    _refuse_empty(prompt)
    return Pair(prompt, chosen, rejected, _margin(row.get(columns.margin)), *_kind(row, source))


def _read_labelled(row: Mapping[str, Any], source: PreferenceSource) -> Labelled:
    prompt = _prompt(_take(row, "prompt", source))
    _refuse_empty(prompt)
    _, response = _response(_take(row, "response", source), "response")
    return Labelled(prompt, response, _label(_take(row, "label", source), source),
                    *_kind(row, source))  # fmt: skip


def _take(row: Mapping[str, Any], field: str, source: PreferenceSource) -> Any:
    column = getattr(source.columns, field)
    if column not in row:
        raise RowError(missing_column(field, column, row, LIKELY))
    if row[column] is None:
        raise RowError(f"{column} is null")
    return row[column]


def _prompt(value: Any) -> str:
    if isinstance(value, list):
        turns = _turns(value, "prompt")
        if [role for role, _ in turns] != ["user"]:
            raise RowError(f"prompt is {_roles(turns)}; only one user turn is taken")
        return turns[0][1]
    return text_of(value, "prompt")


def _response(value: Any, name: str) -> tuple[str | None, str]:
    """(the prompt where the value holds one, the response)."""
    if not isinstance(value, list):
        return None, text_of(value, name)
    turns = _turns(value, name)
    roles = [role for role, _ in turns]
    if roles == ["assistant"]:
        return None, turns[0][1]
    if roles == ["user", "assistant"]:
        return turns[0][1], turns[1][1]
    raise RowError(f"{name} is {_roles(turns)}; give the assistant's turn, or user and assistant")


def _turns(value: list[Any], name: str) -> list[tuple[str, str]]:
    turns = []
    for number, turn in enumerate(value, start=1):
        if not isinstance(turn, Mapping) or not {"role", "content"} <= turn.keys():
            raise RowError(f"turn {number} of {name} is no object with role and content")
        turns.append((str(turn["role"]), text_of(turn["content"], f"turn {number} of {name}")))
    return turns


def _roles(turns: list[tuple[str, str]]) -> str:
    return f"a chat with the turns {', '.join(role for role, _ in turns) or '(none)'}"


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


def _refuse_empty(prompt: str) -> None:
    if not prompt.strip():
        raise RowError("prompt is empty; give the question")
