"""Which paths an edit may name: plain relative ones, outside version control and the tests."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

_CLOSED_FOLDERS = frozenset((".git", ".hg", ".svn", ".meta", "__pycache__"))
MAX_PATH = 255


def path_fault(path: str, protected: Collection[str] = ()) -> str | None:
    """Why an edit of this path is refused, or None. protected: files that must stay as they are.

    A path is compared as a file system that ignores case would: Test.py is test.py.
    """
    parts = PurePosixPath(path).parts
    if not parts or len(path) > MAX_PATH or not path.isprintable():
        return "it is no path of a file"
    if path.startswith(("/", "~")) or "\\" in path or ":" in parts[0]:
        return "it must be relative to the project, with forward slashes"
    if ".." in parts or str(PurePosixPath(path)) != path:
        return "it must not lead out of the project: no '..', no '.', no double slash"
    if _CLOSED_FOLDERS & {part.casefold() for part in parts}:
        return "its folder is not part of the project's sources"
    if path.casefold() in {name.casefold() for name in protected}:
        return "it must not be changed"
    return None
