"""Find the program in an answer. Pure text, linear time, never raises.

Several fenced blocks: the last one that says it is in the problem's language, else the last that
names no other language. No fence: the whole answer. A fence that is never closed runs to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_CHARS = 50_000
ALIASES = {
    "python": {"python", "python3", "py", "py3"},
    "java": {"java"},
    "cpp": {"cpp", "c++", "cc", "cxx", "c", "cplusplus"},
    "csharp": {"csharp", "c#", "cs"},
    "javascript": {"javascript", "js", "node", "nodejs", "mjs"},
    "typescript": {"typescript", "ts"},
    "php": {"php"},
    "bash": {"bash", "sh", "shell", "zsh"},
}


_ITEM = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?=```|~~~)")


class FencedBlock(NamedTuple):
    """A fenced block: its stated language in lower case, and its text."""

    tag: str
    text: str


class Fence(NamedTuple):
    """A line of backticks or tildes: the text after them, its start and its end.

    indent: columns before it, which the block's lines share where it stands in a list.
    opens_only: it follows the mark of a list's item.
    """

    marks: str
    tag: str
    start: int
    inside: int
    indent: int
    opens_only: bool


def extract_code(answer: str, language: str) -> str | None:
    """Return the program in an answer, or None if there is none."""
    blocks = [block for block in fenced_blocks(answer) if block.text.strip()]
    if not blocks:
        bare = None if any(_fences(answer)) else _without_ticks(answer).strip()
        return bare or None
    own = [block for block in blocks if block.tag in ALIASES.get(language, {language})]
    untagged = [block for block in blocks if not block.tag]
    if own or untagged:
        return (own or untagged)[-1].text
    return None


def fenced_blocks(text: str) -> list[FencedBlock]:
    """Return all blocks between lines of three or more backticks or tildes, in order."""
    blocks: list[FencedBlock] = []
    opening: Fence | None = None
    for fence in _fences(text):
        if opening is None:
            opening = fence
        elif not fence.tag and not fence.opens_only and fence.marks.startswith(opening.marks):
            blocks.append(_block(text, opening, fence.start))
            opening = None
    if opening is not None:
        blocks.append(_block(text, opening, len(text)))
    return blocks


def _fences(text: str) -> Iterator[Fence]:
    """Yield the lines that open or close a block."""
    start = 0
    for line in text.split("\n"):
        end = start + len(line) + 1
        before = _ITEM.match(line) if "```" in line or "~~~" in line else None
        marked = before is not None and before.end() > len(_margin(line))
        indent = len(line[: before.end()].expandtabs(4)) if before else 0
        bare = line[before.end() if before else 0 :].strip(" \t\r")
        rest = bare.lstrip(bare[:1])
        marks = bare[: len(bare) - len(rest)]
        if marks[:3] in ("```", "~~~") and "`" not in rest:
            tag = (rest.split() or [""])[0]
            yield Fence(marks, tag, start, min(end, len(text)), indent, marked)
        start = end


def _block(text: str, opening: Fence, end: int) -> FencedBlock:
    inside = text[opening.inside : end]
    # A fence closed on the program's last line: "print(1)```".
    stripped = inside.rstrip()
    if end == len(text) and stripped.endswith(opening.marks):
        inside = stripped[: -len(opening.marks)]
    return FencedBlock(opening.tag.lower().strip("{}."), _without_indent(inside, opening.indent))


def _without_indent(text: str, indent: int) -> str:
    """Remove the fence's indentation from each line, at most that of the first line.

    Lines that have less (of a string that spans lines) lose what they have.
    """
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    columns = min(indent, len(_margin(first).expandtabs(4)))
    return "\n".join(_dedented(line, columns) for line in lines) if columns else text


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _dedented(line: str, columns: int) -> str:
    """Return the line without its first columns of white space; a tab is four columns."""
    taken = 0
    while line and line[0] in " \t" and taken < columns:
        taken += 4 if line[0] == "\t" else 1
        line = line[1:]
    return line


def _without_ticks(answer: str) -> str:
    """Remove the backticks of `code` or ```code``` on one line."""
    text = answer.strip()
    for ticks in ("```", "`"):
        whole = len(text) > 2 * len(ticks) and text.startswith(ticks) and text.endswith(ticks)
        if whole and "`" not in text[len(ticks) : -len(ticks)]:
            return text[len(ticks) : -len(ticks)]
    return text
