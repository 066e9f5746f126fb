"""Public data sets' own columns, told by their names: which of them make a problem.

    question, answer                      GSM8K (the answer follows "####"), SimpleQA, and many
    problem, answer                       MATH-500, AIME
    prompt, reward_model.ground_truth     verl
    question, A, B, C, D, answer          MMLU, C-Eval, CMMLU: a letter
    question, choices | options, answer   MMLU on the Hub, MMLU-Pro: a letter or a number from 0
    text | prompt, code, test_list        MBPP: the tests judge
    question.problem, ground_truth_answer PRM800K, without its labels of steps
    messages | conversations, instruction prompts alone, where the verifier needs no gold answer

A layout turns such a row into our columns. It is looked for where the recipe names no column for
the prompt or the reference, and in files without a reference or a verifier of their own. Of the
other columns a layout keeps the id, and those that the recipe names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from r1.data import mbpp
from r1.data.columns import ABSENT, LETTERS, lettered, take_column, top_names
from r1.data.rows import NEEDS_NO_REFERENCE, RowError, missing_column, number_text, shown
from r1.data.thinking import APART
from r1.data.turns import LIST_COLUMNS
from r1.errors import UserError

if TYPE_CHECKING:
    from r1.data.opened import OpenedSource
    from r1.data.settings import SourceSettings

Row = Mapping[str, Any]
GSM8K_MARKER = "####"
OURS = frozenset({"reference", "verifier"})
"""Columns of files that were written for r1: they are read as they are."""

INPUTS = ("input", "context")
"""What Alpaca's and Dolly's files call the second part of a prompt."""

TEXTS = (*INPUTS, *APART, "rationale", "thoughts", "system", "system_prompt", "history", "tools")
"""Columns that most likely hold something to learn from."""

_QUESTIONS = ("question", "problem", "Question", "query")
_ANSWERS = ("answer", "final_answer", "Answer", "ground_truth")
_OPTIONS = ("A", "B", "C", "D")
_PLACE = re.compile(r"\d{1,2}")
"""An option's number that a file holds as a text."""

_PROMPTS = ("instruction", "question", "problem", "query", "text")


class ColumnLayout(NamedTuple):
    """name: what messages call it; reads: the columns it needs; make: a row -> our columns.

    verifier, reference_after: what stands in for the settings that a recipe leaves as they are.
    """

    name: str
    reads: tuple[str, ...]
    make: Callable[[Row], dict[str, Any]]
    verifier: str | None = None
    reference_after: str | None = None

    def settings(self, given: SourceSettings) -> SourceSettings:
        """The settings of a source whose rows `make` has turned into ours."""
        own = type(given).model_fields
        changes: dict[str, Any] = {"columns": type(given.columns)()}
        for name in ("verifier", "reference_after"):
            value = getattr(self, name)
            if value is not None and getattr(given, name) == own[name].get_default():
                changes[name] = value
        return given.model_copy(update=changes)


def find_layout(settings: SourceSettings, opened: OpenedSource) -> ColumnLayout | None:
    """The layout that a source's columns tell, or None.

    Raises UserError for layouts that are no problems, with what reads them.
    """
    names = opened.columns
    if OURS.intersection(names):
        return None
    refuse_labelled_steps(names, opened.origin)
    layout = _judged_otherwise(names)
    if layout is None:
        needed = settings.verifier not in NEEDS_NO_REFERENCE
        layout = _with_answer(names, opened) if needed else _prompt_alone(names)
    if layout is None:
        return None
    named = {field: getattr(settings.columns, field) for field in settings.columns.named}
    if "id" in names:
        named.setdefault("id", "id")
    more = [top for column in named.values() for top in top_names(column, names)]
    reads = tuple(dict.fromkeys([*layout.reads, *more]))
    return layout._replace(reads=reads, make=_with_columns(layout.make, named))


def input_column(prompt: str, names: Iterable[str], taken: Iterable[str]) -> str | None:
    """The column that goes on with an instruction, if that is the prompt and there is one.

    taken: the columns that hold something else.
    """
    if prompt != "instruction":
        return None
    free = set(names).difference(taken)
    return next((name for name in INPUTS if name in free), None)


def unread_notice(origin: str, names: Sequence[str]) -> str:
    """The sentence about columns that hold something to learn from and are not read."""
    return (
        f"{origin}: not learnt from: {', '.join(names)} (columns that no setting of `columns` "
        "names)."
    )


def refuse_labelled_steps(names: Iterable[str], origin: str) -> None:
    """UserError for Math-Shepherd's rows: every step of a solution is labelled."""
    if {"input", "label", "task"} <= set(names):
        raise UserError(
            f"{origin} is in Math-Shepherd's layout (input, label, task): its labels judge steps, "
            'which a process reward model learns from (kind = "reward_model", objective = '
            '"steps"); for anything else name columns, such as columns = { prompt = "input" }.'
        )


def _judged_otherwise(names: Sequence[str]) -> ColumnLayout | None:
    """Layouts whose verifier is not that of a plain answer."""
    have = set(names)
    if {"code", "test_list"} <= have and have & {"prompt", "text"}:
        reads = tuple(name for name in mbpp.COLUMNS if name in have)
        return ColumnLayout("MBPP", reads, mbpp.read_mbpp, "code")
    question = next((name for name in _QUESTIONS if name in have), None)
    answer = next((name for name in _ANSWERS if name in have), None)
    if question is None or answer is None:
        return None
    if have.issuperset(_OPTIONS):
        reads = (question, *_OPTIONS, answer)
        return ColumnLayout("MMLU", reads, lambda row: _choice(row, question, answer), "choice")
    listed = next((name for name in ("choices", "options") if name in have), None)
    if listed is not None:
        reads = (question, listed, answer)
        return ColumnLayout(
            "options", reads, lambda row: _listed(row, question, listed, answer), "choice"
        )
    return None


def _with_answer(names: Sequence[str], opened: OpenedSource) -> ColumnLayout | None:
    have = set(names)
    if "prompt" in have:
        if "reward_model" not in have:
            return None
        return _columns("verl", ("prompt", "reward_model"), "prompt", "reward_model.ground_truth")
    if {"question", "label"} <= have:
        inside = opened.sample(["question"]).get("question")
        if isinstance(inside, Mapping) and {"problem", "ground_truth_answer"} <= inside.keys():
            problem, answer = "question.problem", "question.ground_truth_answer"
            return _columns("PRM800K", ("question",), problem, answer)
    question = next((name for name in _QUESTIONS if name in have), None)
    found = next((name for name in _ANSWERS if name in have), None)
    if question is None or found is None:
        return None
    layout = _columns(f"{question} and {found}", (question, found), question, found)
    text = opened.sample([found]).get(found)
    if isinstance(text, str) and GSM8K_MARKER in text:
        return layout._replace(name="GSM8K", reference_after=GSM8K_MARKER)
    return layout


def _prompt_alone(names: Sequence[str]) -> ColumnLayout | None:
    if "prompt" in names:
        return None
    turns = next((name for name in LIST_COLUMNS if name in names), None)
    if turns is not None:
        return ColumnLayout("turns", (turns,), lambda row: {"prompt": _up_to_response(row, turns)})
    prompt = next((name for name in _PROMPTS if name in names), None)
    if prompt is None:
        return None
    if prompt == "instruction" and "input" in names:
        asked = "{instruction}\n\n{input}"
        return ColumnLayout(
            "Alpaca",
            ("instruction", "input"),
            lambda row: {"prompt": take_column({"input": None, **row}, asked)},
        )
    return ColumnLayout(prompt, (prompt,), lambda row: {"prompt": row.get(prompt)})


def _columns(name: str, reads: tuple[str, ...], prompt: str, reference: str) -> ColumnLayout:
    def make(row: Row) -> dict[str, Any]:
        pairs = {"prompt": take_column(row, prompt), "reference": take_column(row, reference)}
        return {field: value for field, value in pairs.items() if value is not ABSENT}

    return ColumnLayout(name, reads, make)


def _with_columns(
    make: Callable[[Row], dict[str, Any]], named: Mapping[str, str]
) -> Callable[[Row], dict[str, Any]]:
    """Add the fields that the recipe names a column for, and the id where there is one."""

    def made(row: Row) -> dict[str, Any]:
        values = make(row)
        for field, column in named.items():
            value = take_column(row, column)
            if value is ABSENT or (field == "id" and value is None):
                if column == "id":
                    continue
                raise RowError(missing_column(field, column, row))
            values[field] = value
        return values

    return made


def _up_to_response(row: Row, column: str) -> Any:
    """The turns before the last response, which a policy gives itself."""
    turns = row.get(column)
    if not isinstance(turns, list):
        return turns
    last = turns[-1] if turns else None
    role = last.get("role", last.get("from")) if isinstance(last, Mapping) else None
    return turns[:-1] if role in ("assistant", "gpt", "model") else turns


def _choice(row: Row, question: str, answer: str) -> dict[str, Any]:
    options = [row.get(letter) for letter in _OPTIONS]
    return _with_options(row.get(question), options, row.get(answer))


def _listed(row: Row, question: str, listed: str, answer: str) -> dict[str, Any]:
    options = row.get(listed)
    if not isinstance(options, list):
        raise RowError(f"{listed} is {shown(options)}; it must be a list of texts")
    return _with_options(row.get(question), options, row.get(answer))


def _with_options(question: Any, options: list[Any], answer: Any) -> dict[str, Any]:
    """A question above its options; the answer is a letter, or an option's number from 0."""
    if not isinstance(question, str) or not question.strip():
        raise RowError(f"question is {shown(question)}; it must be a text")
    texts = [number_text(item) if isinstance(item, int | float) else item for item in options]
    if not all(isinstance(text, str) for text in texts):
        raise RowError(f"options are {shown(options)}; they must be texts")
    prompt = f"{question.strip()}\n\n{lettered(texts)}"
    if isinstance(answer, float):
        answer = number_text(answer)
    if isinstance(answer, str) and _PLACE.fullmatch(answer.strip()):
        answer = int(answer)
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(texts):
        answer = LETTERS[answer]
    return {"prompt": prompt, "reference": answer, "options": texts}
