"""`r1 data`: what a file's rows can be, how many there are, and the first as a model will see it.

    r1 data pairs.json
    r1 data train.csv --set 'columns.prompt="{instruction}\\n{input}"' --model Qwen/Qwen2.5-0.5B

A file is read as each kind of data; what a kind refuses is told in its reader's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from r1.config import Settings, apply_overrides, validate
from r1.data.opened import open_source
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluate_cli import Overrides
from r1.preferences.source import PreferenceSource
from r1.sft.settings import ExampleSource
from r1.terminal import terminal_console

MAX_CHARS = 400
FORMS = ("problems", "examples", "pairs", "labels", "steps")
USES = {
    "problems": "reinforcement learning, evaluation, rejection sampling",
    "examples": "fine-tuning",
    "pairs": "reward models, DPO",
    "labels": "reward models of single responses",
    "steps": "process reward models",
}


class ReadAs(NamedTuple):
    """A file as one kind of data: rows that are used, how they were told, the first one's turns."""

    num: int
    layout: str
    first: list[tuple[str, str]]
    notices: Sequence[str] = ()


def data_command(
    path: Annotated[str, typer.Argument(help='A file, a folder, a Hub id or "my_file.py:rows"')],
    form: Annotated[
        str | None,
        typer.Option("--as", help="problems, examples, pairs, labels or steps [default: all]"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Show the first prompt by this model's chat template [default: none]"),
    ] = None,
    overrides: Overrides = [],  # noqa: B006 (typer copies it)
) -> None:
    """Show how a data file is read: its layout, its rows, and the first as a model sees it.

    --set changes a setting of the source, such as columns.prompt or split.
    """
    if form is not None and form not in FORMS:
        raise UserError(f"--as {form} is no kind of data; choose one of {', '.join(FORMS)}.")
    values = apply_overrides({"path": path}, overrides)
    show(values, [form] if form else FORMS, model, terminal_console())


def show(values: dict[str, Any], forms: Sequence[str], model: str | None, console: Console) -> None:
    """Read a source as each kind of data and print what was found.

    Raises UserError where no kind can read it, and for a model that is not there.
    """
    path = None if model is None else _found(model)
    read: dict[str, ReadAs] = {}
    refused: dict[str, UserError] = {}
    with console.status("reading"):
        columns = _columns(values)
        for form in forms:
            try:
                read[form] = _read(_of_form(values, form), form)
            except UserError as refusal:
                refused[form] = refusal
    if not read:
        faults = {form: _short(fault) for form, fault in refused.items()}
        if len(set(faults.values())) == 1:  # of the file or --set, whatever the rows are read as
            raise UserError(next(iter(faults.values())))
        raise UserError("\n".join(f"as {form}: {fault}" for form, fault in faults.items()))
    console.print(f"{values['path']}: columns {', '.join(columns)}", highlight=False)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for form in sorted(forms, key=lambda name: name not in read):
        fault = str(refused.get(form, "")).removeprefix(f"{values['path']}: ")
        table.add_row(form, *_line(form, read.get(form), fault))
    console.print(table)
    for form, found in read.items():
        for notice in found.notices:
            console.print(Text(f"{form}: {notice}"))
    _show_first(next(iter(read.items())), console)
    if path is not None:
        console.print(f"\nIts prompt as {model} sees it:", highlight=False)
        console.print(Text(_rendered(next(iter(read.values())).first, path)))


def _found(model: str) -> str:
    """The model whose tokenizer shows the prompt. Raises UserError for one that is not there."""
    from r1.evaluation.source import find_model, resolve_model
    from r1.models.hub import require_hub

    source = resolve_model(find_model(model, Path()))
    if source.endpoint is not None:
        raise UserError(f"--model {model}: an endpoint keeps its chat template; name a model here.")
    if not Path(source.path).exists():
        require_hub(source.path)
    return source.path


def _of_form(values: dict[str, Any], form: str) -> dict[str, Any]:
    """The settings without those that only other kinds of data have."""
    fields = {name: set(settings.model_fields) for name, settings in _SETTINGS.items()}
    others = set().union(*fields.values()) - fields[form]
    return {key: value for key, value in values.items() if key not in others}


def _line(form: str, found: ReadAs | None, fault: str) -> tuple[Text, Text]:
    if found is None:
        words = fault.splitlines()
        shown = words[0] if len(words) == 1 else f"{words[0]} {words[1].strip()}"
        return Text("no", "dim"), Text(shown, "dim")
    return Text(f"{found.num:,} rows", "bold"), Text(f"{found.layout}; for {USES[form]}")


def _show_first(first: tuple[str, ReadAs], console: Console) -> None:
    form, found = first
    console.print(f"\nThe first of the {form}:", highlight=False)
    for role, text in found.first:
        console.print(Text.assemble((f"{role:>10}  ", "cyan"), _cut(text)))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]} ... ({len(text):,} characters)"


def _rendered(turns: Sequence[tuple[str, str]], model: str) -> str:
    from r1.models.load import load_tokenizer
    from r1.template import PromptRenderer, TemplateSettings

    asked = [(role, text) for role, text in turns if role in ("system", "user", "assistant")]
    while asked and asked[-1][0] == "assistant":
        asked.pop()
    tokenizer = load_tokenizer(model)
    kind = "chat" if getattr(tokenizer, "chat_template", None) else "r1_zero"
    renderer = PromptRenderer(tokenizer, TemplateSettings(kind=kind))
    return renderer.render(asked[-1][1], tuple(asked[:-1]))


def _read(values: dict[str, Any], form: str) -> ReadAs:
    """The rows as one kind of data; where some cannot be used, those that can."""
    try:
        return _READERS[form](values)
    except UserError as refusal:
        if "unusable" in values or "unusable" not in _SETTINGS[form].model_fields:
            raise
        try:
            found = _READERS[form]({**values, "unusable": "drop"})
        except UserError:  # not one row can be used
            raise refusal from None
        return found._replace(notices=(*found.notices, _DROP))


_DROP = 'a recipe refuses these rows; say unusable = "drop" beside the path to leave them out'


def _short(fault: UserError) -> str:
    """What is wrong, and the first row that shows it."""
    return " ".join(line.strip() for line in str(fault).splitlines()[:2])


def _columns(values: dict[str, Any]) -> list[str]:
    """The columns of the source, whatever its rows are."""
    known: dict[str, Any] = {
        key: values[key] for key in ("path", "split", "config", "kind") if key in values
    }
    return open_source(validate(known, SourceSettings, "r1 data"), Path()).columns


def _problems(values: dict[str, Any]) -> ReadAs:
    from r1.data.load import load_problems
    from r1.data.problem_rows import layout_of
    from r1.rewards.accuracy import check_reference

    source = validate(values, SourceSettings, "r1 data")
    layout = layout_of(source, open_source(source, Path()))
    problems = load_problems(source, Path(), check_reference)
    first = problems[0]
    turns = [*first.earlier, ("user", first.prompt), ("reference", first.reference or "none")]
    name = "columns as given" if layout is None else f"layout {layout.name}"
    return ReadAs(len(problems), f"{name}, verifier {first.verifier}", turns)


def _examples(values: dict[str, Any]) -> ReadAs:
    from r1.sft.examples import check_sources
    from r1.sft.read import conversations, layout_of

    source = validate(values, ExampleSource, "r1 data")
    notices = check_sources([source], Path())
    layout = layout_of(source, Path())
    found = list(conversations(source, Path()))
    turns = [(turn["role"], turn["content"]) for turn in found[0].turns]
    columns = layout.fields
    named = columns.messages if layout.kind == "messages" else columns.prompt
    name = f"turns of {named}" if layout.kind == "messages" else f"{named} and {columns.response}"
    return ReadAs(len(found), name, turns, notices)


def _preferences(values: dict[str, Any], form: Any) -> ReadAs:
    from r1.preferences.read import load_preferences
    from r1.preferences.types import Pair, StepLabels

    found = load_preferences(validate(values, PreferenceSource, "r1 data"), form, Path())
    first = found.items[0]
    if isinstance(first, StepLabels):
        turns = [("user", first.prompt)]
        for step, label in zip(first.steps, first.labels, strict=True):
            turns += [("step", step), ("label", "none" if label is None else f"{label:g}")]
        return ReadAs(len(found.items), "responses in steps", turns, found.notices())
    turns = [*first.earlier, ("user", first.prompt)]
    if isinstance(first, Pair):
        turns += [("chosen", first.chosen), ("rejected", first.rejected)]
    else:
        turns += [("assistant", first.response), ("label", str(first.positive))]
    num_dialogues = sum(bool(getattr(item, "earlier", ())) for item in found.items)
    name = f"{num_dialogues:,} with turns before the prompt"
    return ReadAs(len(found.items), name, turns, found.notices())


_SETTINGS: dict[str, type[Settings]] = {
    "problems": SourceSettings,
    "examples": ExampleSource,
    "pairs": PreferenceSource,
    "labels": PreferenceSource,
    "steps": PreferenceSource,
}
_READERS: dict[str, Callable[[dict[str, Any]], ReadAs]] = {
    "problems": _problems,
    "examples": _examples,
    "pairs": lambda values: _preferences(values, "pairs"),
    "labels": lambda values: _preferences(values, "labels"),
    "steps": lambda values: _preferences(values, "steps"),
}
