"""What a model was asked for, kept by question: a run that was killed ends with the same figures.

counts.jsonl    a line a question: id, samples, tokens, too_long; the last line of an id counts
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from typing_extensions import TypedDict

from r1.files.shapes import read_json_lines
from r1.run_dir import atomic

COUNTS = "counts.jsonl"


class QuestionCount(NamedTuple):
    """samples: responses that came. tokens: theirs. too_long: prompts that filled the context."""

    samples: int = 0
    tokens: int = 0
    too_long: int = 0


class _CountLine(TypedDict):
    id: str
    samples: int
    tokens: int
    too_long: int


class AskCounts:
    """The counts of a folder's questions; of this process alone where there is no folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / COUNTS
        self._counts: dict[str, QuestionCount] = {}
        if self._path is not None and self._path.is_file():
            for row in read_json_lines(self._path, _CountLine):
                counted = QuestionCount(row["samples"], row["tokens"], row["too_long"])
                self._counts[row["id"]] = counted
            # A kill may have torn the last line, to which the next must not be glued.
            lines = [_line(*each) for each in self._counts.items()]
            atomic.write_text(self._path, "".join(f"{line}\n" for line in lines))

    def add(self, question: str, count: QuestionCount) -> None:
        """Count a question that was asked; asked again it counts once."""
        self._counts[question] = count
        if self._path is not None:
            atomic.append_line(self._path, _line(question, count))

    @property
    def total(self) -> QuestionCount:
        """The sum over all questions."""
        columns = zip(*self._counts.values(), strict=True)
        return QuestionCount(*map(sum, columns))


def _line(question: str, count: QuestionCount) -> str:
    return json.dumps({"id": question, **count._asdict()})
