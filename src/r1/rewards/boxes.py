r"""Find boxed answers in a text: `\boxed{…}` and `\fbox{…}`, one or several that form one
answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_COMMAND = re.compile(r"\\(?:boxed|fbox)")
_OPENING = re.compile(r"\\(?:boxed|fbox)\s*\{")
_ONE_DIGIT = re.compile(r"\\(?:boxed|fbox)\s*(\d)(?![\w^]|[.,/]\s*\d)")
"""TeX boxes what follows without braces, one digit; of 42 it would box the 4."""
_NAME = r"(?:[A-Za-z](?:_\{?\w{1,3}\}?)?'?\s*=\s*)?"
_WORD = r"(?:\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b|[和或与及])"
_GAP = r"(?:[\s$,;、，；]|\\[,;:! ]|\\q?quad|\\[()\[\]])*"
_BETWEEN = re.compile(rf"{_GAP}{_WORD}?{_GAP}(?P<name>{_NAME})\$?\s*")
_NAME_BEFORE = re.compile(rf"(?<![\w\\])(?P<name>{_NAME})\$?\s*\Z")
MAX_BETWEEN = 60


class Box(NamedTuple):
    """One box: its start and end in the text, and its content."""

    start: int
    end: int
    content: str


def boxed_answer(text: str, whole: bool = False) -> str | None:
    r"""Return the content of the last box; boxes directly before it join it as one list.

    `\boxed{3}, \boxed{5}` and `x=\boxed{3} \text{ or } x=\boxed{5}` state two values; a box in an
    earlier sentence is an intermediate step. whole: None where there is one. Linear.
    """
    boxes = _from_the_last(text)
    box = next(boxes, None)
    if box is None or not box.content:
        return None
    parts = [box.content]  # from the last
    for earlier in boxes:
        gap = text[earlier.end : box.start]
        if len(gap) > MAX_BETWEEN or not (found := _BETWEEN.fullmatch(gap)):
            if whole:
                return None
            break
        parts[-1] = found["name"] + parts[-1]
        parts.append(earlier.content)
        box = earlier
    if len(set(parts)) == 1:
        return parts[0]  # alone, or the same answer stated again
    if (found := _NAME_BEFORE.search(text[max(0, box.start - 20) : box.start])) and found["name"]:
        parts[-1] = found["name"] + parts[-1]
    return ", ".join(reversed(parts))


def _from_the_last(text: str) -> Iterator[Box]:
    """The boxes of a text from its end, up to the first that does not close before the next."""
    limit = len(text)
    for start in reversed([found.start() for found in _COMMAND.finditer(text)]):
        box = _box_at(text, start, limit)
        if box is None:
            return
        yield box
        limit = start


def _box_at(text: str, start: int, limit: int) -> Box | None:
    """The box that begins here, if its braces close before the limit."""
    found = _OPENING.match(text, start)
    if found is None:
        digit = _ONE_DIGIT.match(text, start)
        return Box(start, digit.end(), digit[1]) if digit else None
    depth = 1
    for position in range(found.end(), limit):
        symbol = text[position]
        if symbol == "{" and text[position - 1] != "\\":
            depth += 1
        elif symbol == "}" and text[position - 1] != "\\":
            depth -= 1
            if depth == 0:
                return Box(start, position + 1, text[found.end() : position].strip())
    return None


_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt)?|math(?:rm|bf|it|sf)|boldsymbol|mbox|hbox)\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_SPACE = re.compile(r"\\[,;:! ]|\\q?quad(?![A-Za-z])")
_DELIMITERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"))


def without_wrapping(text: str) -> str:
    r"""Remove one box, formula delimiters and `\text{…}`: $\boxed{\text{Rome}}$ becomes Rome."""
    text = text.strip()
    if "\\" in text:
        boxed = boxed_answer(text, whole=True)
        text = boxed if boxed is not None else text
        for _ in range(2):
            text = _TEXT.sub(r" \1 ", text)
        text = _SPACE.sub(" ", text)
    for opening, closing in _DELIMITERS:
        text = text.strip()
        inner = text[len(opening) : len(text) - len(closing)]
        if text.startswith(opening) and text.endswith(closing) and opening not in inner:
            text = inner if len(text) > len(opening) + len(closing) else text
    return text.strip()
