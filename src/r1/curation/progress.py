"""How far a data set has come: a bar with the time left on a terminal, lines in a file."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console

from r1.curation.journal import Record
from r1.terminal import terminal_console

LINE_EVERY_S = 10.0
_READ = ("rows", "")
"""Unit of a stage that samples nothing and reads rows that exist."""


class DataEvents(Protocol):
    """Receives events of a data set that is being made."""

    def begin(self, done: int, total: int | None) -> None:
        """The work starts, or carries on after `done` items of `total` (None: not known)."""

    def advance(self, record: Record) -> None:
        """An item is done and journalled."""

    def end(self) -> None:
        """All items are done."""


class Silent:
    """Says nothing."""

    def begin(self, done: int, total: int | None) -> None: ...

    def advance(self, record: Record) -> None: ...

    def end(self) -> None: ...


class DataProgress:
    """A line every ten seconds; on a terminal each overwrites the last."""

    def __init__(self, name: str, console: Console | None = None) -> None:
        self.name = name
        self.console = console or terminal_console(stderr=True)
        self._total: int | None = None
        self._done = self._here = self._rows = self._sampled = 0
        self._started = self._shown = 0.0

    def begin(self, done: int, total: int | None) -> None:
        self._done, self._total = done, total
        self._here = self._rows = self._sampled = 0
        self._started = self._shown = time.monotonic()
        if done:
            self.console.print(
                f"{self.name}: carrying on after the first {done:,}.", highlight=False
            )

    def advance(self, record: Record) -> None:
        self._done += 1
        self._here += 1
        self._rows += len(record.rows)
        self._sampled += record.counts.get("sampled", 0)
        now = time.monotonic()
        if now - self._shown >= LINE_EVERY_S or self._done == self._total:
            self._shown = now
            self._show(now - self._started)

    def end(self) -> None:
        if self.console.is_terminal and self._here:
            self.console.print()

    def _show(self, seconds: float) -> None:
        each = seconds / self._here
        of = f"/{self._total:,}" if self._total is not None else ""
        unit, samples = ("prompts", f" of {self._sampled:,} samples") if self._sampled else _READ
        text = (
            f"{self.name}: {self._done:,}{of} {unit}, kept {self._rows:,}{samples}, "
            f"{self._here / max(seconds, 1e-9):,.1f} {unit}/s"
        )
        if self._total is not None:
            left = int(each * (self._total - self._done))
            text += f", {left // 3600}:{left % 3600 // 60:02d}:{left % 60:02d} left"
        end = "\r" if self.console.is_terminal else "\n"
        self.console.print(text, end=end, highlight=False, soft_wrap=True)
