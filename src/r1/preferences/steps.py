"""Read labelled steps: rows of our own, or as four data sets lay them out.

    {prompt, steps: [text], labels: [0 to 1, or null]}   ours; `columns` names others (TRL's
                                                         `completions` for steps)
    {question, label: {steps: [{completions}]}}          PRM800K (2305.20050)
    {input, label}                                       Math-Shepherd (2312.08935)
    {question, reasoning_steps}                          OmegaPRM's files (2406.06592), list or tree

The columns tell which. A row may hold several responses: PRM800K's has the path that was chosen and
the rated alternatives beside it, a tree one for each leaf. What a row loses is counted by reason;
a row of a wrong form is refused with its number.

PRM800K's ratings: -1 is wrong; 0 and 1 are right, as its authors count them. Steps that a person
wrote and steps without a rating have no label; flagged ones are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from r1.data.opened import open_source
from r1.data.rows import FaultyRows, RowError, missing_column
from r1.data.turns import text_of
from r1.errors import UserError
from r1.preferences.source import PreferenceSource
from r1.preferences.tiny_steps import draw_steps
from r1.preferences.types import Preferences, StepLabels

TAG = "ки"
"""Ends a step of Math-Shepherd's `input`; `label` has + or - in its place."""

Row = Mapping[str, Any]
Read = Callable[[Row, PreferenceSource, Counter[str]], Iterable[StepLabels]]
LIKELY = {
    "prompt": ("question", "problem", "instruction"),
    "steps": ("completions", "solution", "responses"),
    "labels": ("label", "ratings", "rewards"),
}


def load_step_labels(source: PreferenceSource, base_folder: Path) -> Preferences:
    """Read and check a source of labelled steps.

    Raises UserError for a missing or empty file, columns of no known layout, and with the first
    ten rows that cannot be used.
    """
    if source.kind == "tiny":
        drawn = draw_steps(source)
        return Preferences(source.label, list(range(1, len(drawn) + 1)), list(drawn), {}, 0)
    opened = open_source(source, base_folder, "labelled response")
    return check_step_rows(opened.read(None), source, opened.origin)


def check_step_rows(
    rows: Iterable[tuple[int, Row | RowError]], source: PreferenceSource, origin: str
) -> Preferences:
    """Turn (row number, columns) pairs into labelled responses; raises UserError as above."""
    faults = FaultyRows(origin)
    found = Preferences(origin, [], [], {}, 0, source.unusable == "drop")
    dropped: Counter[str] = Counter()
    seen: set[tuple[str, ...]] = set()
    for number, row in islice(rows, source.limit):
        try:
            if isinstance(row, RowError):
                raise row
            items = list(_layout(row, source)(row, source, dropped))
        except RowError as fault:
            faults.add(number, str(fault))
            continue
        for item in items:
            key = (item.prompt, item.response, repr(item.labels))
            if all(label is None for label in item.labels):
                dropped["no label"] += 1
            elif key in seen:
                dropped["repetition"] += 1
            else:
                seen.add(key)
                found.rows.append(number)
                found.items.append(item)
    faults.raise_if_any()
    if not found.items:
        lost = ", ".join(f"{n} {reason}" for reason, n in sorted(dropped.items()))
        raise UserError(
            f"{origin} has no labelled steps ({lost or 'no rows'}); label at least one."
        )
    return found._replace(dropped=dict(dropped))


def _layout(row: Row, source: PreferenceSource) -> Read:
    """Which layout a row has, by its columns."""
    if source.columns.steps in row:
        return _read_own
    if "question" in row and isinstance(row.get("label"), Mapping):
        return _read_prm800k
    if "input" in row and "label" in row:
        return _read_shepherd
    if "question" in row and "reasoning_steps" in row:
        return _read_omega
    raise RowError(
        missing_column("steps", source.columns.steps, row, LIKELY)
        + "; or give rows as PRM800K {question, label}, Math-Shepherd {input, label} or OmegaPRM "
        "{question, reasoning_steps}"
    )


def _read_own(row: Row, source: PreferenceSource, dropped: Counter[str]) -> Iterator[StepLabels]:
    columns = source.columns
    for field in ("prompt", "labels"):
        if row.get(getattr(columns, field)) is None:
            raise RowError(missing_column(field, getattr(columns, field), row, LIKELY))
    steps, labels = row[columns.steps], row[columns.labels]
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        raise RowError(f"{columns.steps} is no list of texts")
    if not isinstance(labels, Sequence) or isinstance(labels, str) or len(labels) != len(steps):
        raise RowError(f"{columns.labels} must be a list of {len(steps)}, one for each step")
    yield StepLabels(
        _asked(row[columns.prompt], columns.prompt),
        tuple(text_of(step, f"{columns.steps}[{n}]") for n, step in enumerate(steps)),
        tuple(map(_label, labels)),
        str(row.get(columns.language) or ""),
        str(row.get(columns.family) or ""),
    )


def _read_prm800k(
    row: Row, source: PreferenceSource, dropped: Counter[str]
) -> Iterator[StepLabels]:
    label = row["label"]
    finish = label.get("finish_reason")
    if finish in ("give_up", "bad_problem"):
        dropped[f"finish_reason {finish}"] += 1
        return
    question = row["question"]
    if not isinstance(question, Mapping):
        raise RowError("not PRM800K's form: question.problem is needed")
    prompt = _asked(question.get("problem"), "question.problem")
    steps: list[str] = []
    labels: list[float | None] = []
    for step in _tables(label.get("steps"), "label.steps"):
        completions = _tables(step.get("completions") or (), "completions")
        rated = [c for c in completions if _rated(c, dropped)]
        taken = _taken(step, completions)
        for other in rated:
            if other is not taken and (taken is not None or other is not rated[0]):
                yield _alternative(prompt, steps, other)
        if taken is None and not rated:
            break
        if taken is None:  # the path ends here, with the first of the rated ones
            steps, labels = [*steps, _text(rated[0])], [*labels, _rating(rated[0])]
            break
        steps = [*steps, _text(taken)]
        labels = [*labels, _rating(taken) if taken in rated else None]
    if steps:
        yield StepLabels(prompt, tuple(steps), tuple(labels), family="prm800k")


def _alternative(prompt: str, before: Sequence[str], other: Row) -> StepLabels:
    """A step beside the chosen path, whose own steps are labelled there."""
    labels = (*[None] * len(before), _rating(other))
    return StepLabels(prompt, (*before, _text(other)), labels, family="prm800k")


def _taken(step: Row, completions: Sequence[Row]) -> Row | None:
    """The completion that the path goes on with: the chosen one, or a person's."""
    chosen, written = step.get("chosen_completion"), step.get("human_completion")
    if chosen is None:
        return None if written is None else _tables([written], "human_completion")[0]
    if type(chosen) is not int or not 0 <= chosen < len(completions):
        raise RowError(f"chosen_completion is {chosen!r}, of {len(completions)} completions")
    return completions[chosen]


def _text(completion: Row) -> str:
    return text_of(completion.get("text"), "a completion's text")


def _rated(completion: Row, dropped: Counter[str]) -> bool:
    if completion.get("flagged"):
        dropped["flagged step"] += 1
    elif completion.get("rating") is None:
        dropped["step without a rating"] += 1
    else:
        return True
    return False


def _rating(completion: Row) -> float:
    rating = completion["rating"]
    if rating not in (-1, 0, 1):
        raise RowError(f"rating is {rating!r}; PRM800K's are -1, 0 and 1")
    return float(rating >= 0)


def _read_shepherd(
    row: Row, source: PreferenceSource, dropped: Counter[str]
) -> Iterator[StepLabels]:
    given, labelled = text_of(row["input"], "input"), text_of(row["label"], "label")
    pieces = given.split(TAG)
    labels: list[float] = []
    place = 0
    for piece in pieces[:-1]:
        mark = labelled[place + len(piece) : place + len(piece) + 1]
        if labelled[place : place + len(piece)] != piece or mark not in ("+", "-"):
            raise RowError(f'label does not repeat input with + or - in place of "{TAG}"')
        labels.append(float(mark == "+"))
        place += len(piece) + 1
    first = re.search(r"\s*Step 1:", pieces[0])
    if not labels or first is None or not first.start():
        raise RowError(f'input has no question before "Step 1:", or no step that ends in "{TAG}"')
    steps = [pieces[0][first.start() :], *pieces[1:-1]]
    yield StepLabels(
        given[: first.start()],
        tuple(step.strip() for step in steps),
        tuple(labels),
        family=str(row.get("task") or ""),
    )


def _read_omega(row: Row, source: PreferenceSource, dropped: Counter[str]) -> Iterator[StepLabels]:
    prompt, found = _asked(row["question"], "question"), row["reasoning_steps"]
    if isinstance(found, Mapping):
        for node in _tables(found.get("children") or (), "children"):
            yield from _leaves(prompt, node, [], [])
        return
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise RowError("reasoning_steps is neither a list nor a tree")
    for number, entry in enumerate(_tables(found, "reasoning_steps")):
        prefix = text_of(entry.get("solution_prefix"), f"reasoning_steps[{number}].solution_prefix")
        if not prefix.startswith(prompt):
            raise RowError(f"solution_prefix {number} does not begin with the question")
        if rest := prefix[len(prompt) :].strip():
            yield StepLabels(prompt, (rest,), (_label(entry.get("mc_value")),), family="omega")


def _leaves(
    prompt: str, node: Row, steps: list[str], labels: list[float | None]
) -> Iterator[StepLabels]:
    """Every path from the root to a leaf; a step's label comes with the first path through it."""
    steps = [*steps, text_of(node.get("text"), "a node's text")]
    labels = [*labels, _label(node.get("mc_value"))]
    children = _tables(node.get("children") or (), "children")
    if not children:
        yield StepLabels(prompt, tuple(steps), tuple(labels), family="omega")
    below = (_leaves(prompt, child, steps, labels if n == 0 else [None] * len(labels))
             for n, child in enumerate(children))  # fmt: skip
    yield from chain.from_iterable(below)


def _tables(value: Any, name: str) -> Sequence[Row]:
    """A list of tables, which other files may hold in another form."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(each, Mapping) for each in value):
        raise RowError(f"{name} is no list of tables")
    tables: Sequence[Row] = value
    return tables


def _asked(value: Any, name: str) -> str:
    prompt = text_of(value, name)
    if not prompt.strip():
        raise RowError(f"{name} is empty; give the question")
    return prompt


def _label(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    raise RowError(f"a label is {value!r}; give true, false, a number from 0 to 1, or null")
