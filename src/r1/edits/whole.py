"""Read the whole format: a file's path on a line, and below it the whole file in a fence.

A fence without a path belongs to the file that the text before it names in backquotes, or to the
only file there is. The first fence of a file counts, one with its path above all; an unclosed last
fence is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from r1.edits.blocks import FENCE, Edit, EditFormatError, plain_path

_QUOTED = re.compile(r"`([^`\s]+)`")


def read_whole(response: str, known: Sequence[str]) -> list[Edit]:
    """The files of a response, in their order; none where it has no fence.

    known: the paths that the model was shown. Raises EditFormatError for a fence of no file.
    """
    lines = response.replace("\r\n", "\n").splitlines(keepends=True)
    found: dict[str, tuple[bool, str]] = {}
    mentioned: str | None = None
    at = 0
    while at < len(lines):
        if not lines[at].startswith(FENCE):
            names = [name for name in _QUOTED.findall(lines[at]) if name in known]
            mentioned = names[-1] if names else mentioned
            at += 1
            continue
        end = _closing(lines, at + 1)
        above = plain_path(lines[at - 1]) if at else None
        path = _known(above, known) if above else None
        text = "".join(lines[at + 1 : end])
        _keep(found, path, path or mentioned or _only(known), text)
        at, mentioned = end + 1, None
    return [Edit(path, None, text) for path, (_, text) in found.items()]


def _closing(lines: Sequence[str], start: int) -> int:
    for at in range(start, len(lines)):
        if lines[at].startswith(FENCE):
            return at
    return len(lines)


def _known(name: str, known: Sequence[str]) -> str | None:
    """The path that a line above a fence names; prose is none."""
    if name in known or (" " not in name and ("." in name or "/" in name)):
        same = [path for path in known if path.rpartition("/")[2] == name]
        return same[0] if same and name not in known else name
    return None


def _only(known: Sequence[str]) -> str | None:
    return known[0] if len(known) == 1 else None


def _keep(
    found: dict[str, tuple[bool, str]], named: str | None, path: str | None, text: str
) -> None:
    """Take a fence's text: the first of a file, but one with its path above over one without."""
    if path is None:
        raise EditFormatError(
            "There is no file name above a fence. Put the file's path alone on the line before it."
        )
    is_named = named is not None
    if path not in found or (is_named and not found[path][0]):
        found[path] = (is_named, text)
