"""Apply one SEARCH/REPLACE block to a text: four rules in this order, then none.

    1. the lines as they are                      3. 1 and 2 without a blank first SEARCH line
    2. the lines, all indented alike              4. lines "..." that stand for what is kept

The first place that matches is replaced. Nothing is matched by likeness: Aider has the code for
it, behind a return that it never passes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ELISION = re.compile(r"(^\s{0,80}\.\.\.\n)", re.MULTILINE)


def replaced(content: str, search: str, replace: str) -> str | None:
    """content with the first place of `search` replaced; None where no rule finds one.

    An empty search adds `replace` at the end. A missing last line break is added to all three.
    """
    if not search.strip():
        return content + replace
    whole, part, new = (_lines(text) for text in (content, search, replace))
    found = _as_they_are_or_indented(whole, part, new)
    if found is None and len(part) > 2 and not part[0].strip():
        found = _as_they_are_or_indented(whole, part[1:], new)
    return _elided("".join(whole), "".join(part), "".join(new)) if found is None else found


def _lines(text: str) -> list[str]:
    if text and not text.endswith("\n"):
        text += "\n"
    return text.splitlines(keepends=True)


def _as_they_are_or_indented(
    whole: Sequence[str], part: Sequence[str], new: Sequence[str]
) -> str | None:
    for start in range(len(whole) - len(part) + 1):
        if whole[start] == part[0] and whole[start : start + len(part)] == part:
            return "".join([*whole[:start], *new, *whole[start + len(part) :]])
    return _indented(whole, part, new)


def _indented(whole: Sequence[str], part: Sequence[str], new: Sequence[str]) -> str | None:
    """Match lines that all lack the same leading white space, and give it to the new ones.

    Leading white space that all lines of both have in common is dropped first.
    """
    widths = [len(line) - len(line.lstrip()) for line in (*part, *new) if line.strip()]
    common = min(widths, default=0)
    part, new = ([_cut(line, common) for line in lines] for lines in (part, new))
    for start in range(len(whole) - len(part) + 1):
        if whole[start].lstrip() != part[0].lstrip():
            continue
        lead = _lead(whole[start : start + len(part)], part)
        if lead is not None:
            moved = [lead + line if line.strip() else line for line in new]
            return "".join([*whole[:start], *moved, *whole[start + len(part) :]])
    return None


def _cut(line: str, width: int) -> str:
    return line[width:] if line.strip() else line


def _lead(there: Sequence[str], part: Sequence[str]) -> str | None:
    """The white space that stands before every line of `there`, beyond that of `part`."""
    if any(a.lstrip() != b.lstrip() for a, b in zip(there, part, strict=True)):
        return None
    leads = {a[: len(a) - len(b)] for a, b in zip(there, part, strict=True) if a.strip()}
    return leads.pop() if len(leads) == 1 else None


def _elided(content: str, search: str, replace: str) -> str | None:
    """Replace the pieces between lines "..."; each must occur once, and both sides elide alike."""
    parts, news = _ELISION.split(search), _ELISION.split(replace)
    if len(parts) == 1 or len(parts) != len(news) or parts[1::2] != news[1::2]:
        return None
    for part, new in zip(parts[::2], news[::2], strict=True):
        if not part and new:
            content = content + ("" if content.endswith("\n") else "\n") + new
        elif part:
            if content.count(part) != 1:
                return None
            content = content.replace(part, new)
    return content
