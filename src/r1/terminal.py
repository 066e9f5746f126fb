"""Make terminal output safe: text from others cannot control the terminal.

Family names, model names, paths, judges' words and recipes' values come from strangers. A control
sequence in one of them could clear the screen, change the window's title or fake a line of ours.

    guard_terminal()                    once, when a command starts
    console = terminal_console()        what every command prints through

`TerminalConsole` knows its own colours and cursor moves from text, so it shows any control
character of a text as a sign, and reads neither markup ("[red]") nor emoji codes (":smile:") in
strings: styles are given as `rich.text.Text`. What is written past it (print, logging, warnings,
tracebacks, libraries' progress bars) goes through a `CleanStream`, which lets colours pass and
writes other control characters as JSON does ("\\u001b"), so that JSON stays the same JSON.

Left out on purpose: look-alike letters, and text that only pretends.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# C0 but tab, newline and carriage return; DEL; C1; line separators; text that runs backwards;
# invisible tags; unpaired surrogates, which cannot be encoded.
_UNSAFE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_UNSAFE}]")
_COLOUR_OR_CONTROL = re.compile(rf"\x1b\[[0-9;]*m|[{_UNSAFE}]")
_PICTURES = 0x2400
_DELETE = 0x7F


def visible(text: str) -> str:
    """Return text with a sign in place of each control character: ␛ for escape, � beyond ASCII.

    Tabs, newlines and carriage returns stay.
    """
    return _CONTROL.sub(_sign, text)


def one_line(text: str, most: int, end: bool = False) -> str:
    """Return text as one printable line; of a long one its beginning, or its end.

    Characters that are not printable could drive the terminal.
    """
    line = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split())
    )
    if len(line) <= most:
        return line
    return f"... {line[-most:]}" if end else f"{line[:most]} ..."


class TerminalConsole(Console):
    """A console that prints text literally: no markup, no emoji codes, no control characters."""

    def __init__(self, **options: Any) -> None:
        defaults = {"markup": False, "emoji": False, "force_jupyter": False}
        super().__init__(**defaults | options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield segments; control characters in text become visible, the console's own remain."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


class CleanStream:
    """A text stream that removes control characters, except colours, from its output."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text; return its length, as a stream does."""
        self.stream.write(_COLOUR_OR_CONTROL.sub(_escaped, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard_terminal() -> None:
    """Send all output of this process through a CleanStream, tracebacks too."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, CleanStream):
            continue
        if hasattr(stream, "reconfigure"):  # an ASCII terminal has no sign for what we print
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, CleanStream(stream))


def terminal_console(stderr: bool = False) -> TerminalConsole:
    """Return a command's console, on standard output or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return TerminalConsole(file=stream.stream if isinstance(stream, CleanStream) else stream)


def progress_console() -> TerminalConsole:
    """Return where progress goes: standard error, and standard output in a notebook, which paints
    the other as an error."""
    return terminal_console(stderr="ipykernel" not in sys.modules)


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(_PICTURES + code)
    return "\u2421" if code == _DELETE else "\ufffd"


def _escaped(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 else json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f")
