"""Apply the edits of one response to files in memory, and tell the model what failed.

An edit whose SEARCH is not in its file is tried in the other files that the model was shown. Edits
that apply stay applied where others fail, as in Aider: the message says not to send them again.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from r1.edits.blocks import Edit, EditFormatError, read_blocks
from r1.edits.paths import path_fault
from r1.edits.replace import replaced
from r1.edits.whole import read_whole

EditFormat = Literal["diff", "whole"]
MAX_FILE_CHARS = 1_000_000
"""Longest file that edits may make."""
MAX_NEW_FILES = 20
_SIMILAR = 0.6
_MAX_COMPARED = 100_000
"""Lines of SEARCH times lines of the file: beyond it no likeness is looked for."""


class EditFailure(NamedTuple):
    """An edit that was not applied. kind: why, in a word. message: for the model."""

    kind: Literal["malformed", "refused", "no match"]
    message: str


class Edited(NamedTuple):
    """Files after a response's edits. changed: the paths that were written, in their order."""

    files: dict[str, str]
    changed: tuple[str, ...]
    failures: tuple[EditFailure, ...]

    @property
    def well_formed(self) -> bool:
        """Whether every edit was read and applied: what Aider's share of responses counts."""
        return not self.failures

    @property
    def message(self) -> str:
        """What to tell the model; "" where nothing failed."""
        if not self.failures:
            return ""
        told = "\n\n".join(failure.message for failure in self.failures)
        kept = ", ".join(self.changed)
        done = f"\n\nThe other edits were applied ({kept}): do not send them again." if kept else ""
        return f"{len(self.failures)} edits were not applied.\n\n{told}{done}"


def apply_response(
    response: str,
    files: Mapping[str, str],
    form: EditFormat,
    protected: Collection[str] = (),
) -> Edited:
    """Read a response's edits by its format and apply them.

    files: what the model was shown. protected: other files, which no edit may touch. Never raises
    for what a model wrote.
    """
    read = read_blocks if form == "diff" else read_whole
    try:
        edits = read(response, list(files))
    except EditFormatError as fault:
        return Edited(dict(files), (), (EditFailure("malformed", str(fault)),))
    return apply_edits(edits, files, protected)


def apply_edits(
    edits: Sequence[Edit], files: Mapping[str, str], protected: Collection[str] = ()
) -> Edited:
    """Apply edits in their order, each to what those before it left."""
    after, changed, failures = dict(files), dict[str, None](), []
    for edit in edits:
        fault = path_fault(edit.path, protected) or _beyond(edit.path, after, files)
        if fault is not None:
            said = f"The edit of {edit.path[:80]!r} was refused: {fault}."
            failures.append(EditFailure("refused", said))
            continue
        done = _applied(edit, after)
        if done is None:
            failures.append(EditFailure("no match", _no_match(edit, after.get(edit.path, ""))))
        elif len(done[1]) > MAX_FILE_CHARS:
            said = f"The edit of {edit.path!r} was refused: the file would be too long."
            failures.append(EditFailure("refused", said))
        else:
            after[done[0]] = done[1]
            changed[done[0]] = None
    return Edited(after, tuple(changed), tuple(failures))


def _beyond(path: str, after: Mapping[str, str], files: Mapping[str, str]) -> str | None:
    """Why a new file cannot be made, or None."""
    if path in after:
        return None
    if any(name.startswith(f"{path}/") or path.startswith(f"{name}/") for name in after):
        return "it cannot be both a file and a folder"
    return "too many new files" if len(after) - len(files) >= MAX_NEW_FILES else None


def _applied(edit: Edit, files: Mapping[str, str]) -> tuple[str, str] | None:
    """The path that an edit changes and its new text; None where SEARCH is nowhere."""
    if edit.search is None:
        return edit.path, edit.replace
    there = files.get(edit.path)
    if there is None and not edit.search.strip():
        return edit.path, edit.replace
    others = [path for path in files if path != edit.path] if edit.search.strip() else []
    for path in [edit.path, *others]:
        if path in files and (new := _in_its_line_ends(files[path], edit)) is not None:
            return path, new
    return None


def _in_its_line_ends(content: str, edit: Edit) -> str | None:
    """The text after an edit; a file whose lines end in CRLF keeps those ends."""
    assert edit.search is not None
    if "\r\n" not in content:
        return replaced(content, edit.search, edit.replace)
    new = replaced(content.replace("\r\n", "\n"), edit.search, edit.replace)
    return None if new is None else new.replace("\n", "\r\n")


def _no_match(edit: Edit, content: str) -> str:
    """Tell the model that SEARCH is not in the file, with the lines that are most like it."""
    assert edit.search is not None
    said = (
        f"The SEARCH lines are not in {edit.path}. They must be lines of the file exactly as they "
        f"stand, with all white space and comments:\n\n{edit.search}"
    )
    if near := _similar(edit.search, content):
        said += f"\nMost like them in the file are:\n\n{near}"
    if edit.replace.strip() and edit.replace in content.replace("\r\n", "\n"):
        said += "\nThe REPLACE lines are in the file already: is the edit needed?"
    return said


def _similar(search: str, content: str) -> str:
    """The lines of a text that are most like `search`, "" where none are 0.6 alike."""
    wanted, there = search.splitlines(), content.splitlines()
    if len(wanted) * len(there) > _MAX_COMPARED:
        return ""
    best, best_at = 0.0, 0
    for at in range(len(there) - len(wanted) + 1):
        window = there[at : at + len(wanted)]
        ratio = difflib.SequenceMatcher(None, wanted, window, autojunk=False).ratio()
        if ratio > best:
            best, best_at = ratio, at
    if best < _SIMILAR:
        return ""
    return "\n".join(there[best_at : best_at + len(wanted)]) + "\n"
