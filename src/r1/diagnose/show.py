"""The diagnosis in the terminal: what `r1 diagnose RUN` prints, and lines while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from r1.diagnose.diagnosis import Diagnosis

NOTHING = "Nothing found that keeps it from learning."


def show(found: Mapping[str, Sequence[Diagnosis]], console: Console) -> None:
    """Print the causes of each run, worst first."""
    for name, causes in found.items():
        if name:
            console.print(Text(name, style="bold"))
        if not causes:
            console.print(Text(NOTHING, style="green"))
        for diagnosis in causes:
            console.print(as_text(diagnosis), soft_wrap=True)


def as_text(diagnosis: Diagnosis) -> Text:
    """Return a cause with its evidence, remedy and examples, over several lines."""
    style = "bold red" if diagnosis.hopeless else "bold yellow"
    text = Text.assemble((diagnosis.title, style), (f"  [{diagnosis.cause}]", "dim"))
    text.append(f"\n  found: {diagnosis.evidence}")
    for example in diagnosis.examples:
        text.append(f"\n    {example}", style="dim")
    text.append(f"\n  try:   {diagnosis.remedy}")
    return text


def as_lines(diagnosis: Diagnosis) -> str:
    """Return the same as plain text."""
    return as_text(diagnosis).plain
