"""Read the diff format: SEARCH/REPLACE blocks, each below the path of its file.

    path/to/file.py
    ```python
    <<<<<<< SEARCH
    old lines
    =======
    new lines
    >>>>>>> REPLACE
    ```

Marks have five to nine characters; a second divider ends a block as well. The path stands on one of
the three lines above, outside or inside the fence; a block without one belongs to the file of the
block before. A path that is not known is taken for a known file of that name, or one that is 0.8
alike. One block that is malformed makes the whole response so: no edit of it is applied.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

_HEAD = re.compile(r"<{5,9} SEARCH>?\s*$")
_DIVIDER = re.compile(r"={5,9}\s*$")
_END = re.compile(r">{5,9} REPLACE\s*$")
_LINES_ABOVE = 3
_ALIKE = 0.8
FENCE = "```"


class Edit(NamedTuple):
    """Replace the lines `search` of a file by `replace`; both end in a line break, or are empty.

    search None: `replace` is the whole file.
    """

    path: str
    search: str | None
    replace: str


class EditFormatError(ValueError):
    """A response that does not follow the edit format; the message is for the model."""


def read_blocks(response: str, known: Sequence[str]) -> list[Edit]:
    """The edits of a response, in their order; none where it has no block.

    known: the paths that the model was shown. Raises EditFormatError for a malformed block.
    """
    lines = response.replace("\r\n", "\n").splitlines(keepends=True)
    edits: list[Edit] = []
    path: str | None = None
    at = 0
    while at < len(lines):
        if not _HEAD.match(lines[at]):
            at += 1
            continue
        is_new = at + 1 < len(lines) and _DIVIDER.match(lines[at + 1])
        path = _path_above(lines[max(0, at - _LINES_ABOVE) : at], () if is_new else known) or path
        if path is None:
            raise EditFormatError(
                f"{_shown(lines, at)}There is no file name above this block. Put the file's path "
                "alone on the line before the opening fence."
            )
        search, at = _until(lines, at + 1, (_DIVIDER,), "`=======`")
        replace, at = _until(lines, at, (_END, _DIVIDER), "`>>>>>>> REPLACE`")
        edits.append(Edit(path, _unwrapped(search, path), _unwrapped(replace, path)))
    return edits


def _until(
    lines: Sequence[str], start: int, marks: Sequence[re.Pattern[str]], wanted: str
) -> tuple[list[str], int]:
    """The lines up to a mark, and the number of the line after it."""
    for at in range(start, len(lines)):
        if any(mark.match(lines[at]) for mark in marks):
            return list(lines[start:at]), at + 1
    raise EditFormatError(f"{_shown(lines, start)}This block has no {wanted}.")


def _shown(lines: Sequence[str], at: int) -> str:
    return "".join(lines[max(0, at - 3) : at + 4]) + "\n^^^ "


def _path_above(above: Sequence[str], known: Sequence[str]) -> str | None:
    """The path that stands above a block: the nearest lines first, fences passed over."""
    found = []
    for line in reversed(above):
        if name := plain_path(line):
            found.append(name)
        if not line.startswith(FENCE):
            break
    for name in found:
        if name in known:
            return name
    for name in found:
        if same := [path for path in known if path.rpartition("/")[2] == name]:
            return same[0]
    for name in found:
        if near := difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE):
            return near[0]
    return next((name for name in found if "." in name), found[0] if found else None)


def plain_path(line: str) -> str | None:
    """The path on a line without the marks that models put around it; None where there is none."""
    name = line.strip()
    if name == "...":
        return None
    if name.startswith(FENCE):
        inside = name.removeprefix(FENCE)
        return inside if "." in inside or "/" in inside else None
    name = name.rstrip(":").lstrip("#").strip().strip("`").strip("*").strip("`")
    return name or None


def _unwrapped(lines: list[str], path: str) -> str:
    """A section without the file's name and the fence that some models repeat inside it."""
    name = path.rpartition("/")[2]
    if lines and lines[0].strip().endswith(name):
        lines = lines[1:]
    if lines and lines[0].startswith(FENCE) and lines[-1].startswith(FENCE):
        lines = lines[1:-1]
    return "".join(lines)
