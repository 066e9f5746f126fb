"""Folders that a command is told to write into, and what they hold already."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

from r1.errors import UserError
from r1.run_dir import atomic, lock

_REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG)
_SHOWN = 3


def held_in(folder: Path, use: str) -> list[Path]:
    """Return what a folder holds, but for a lock and unfinished files; [] where it does not exist.

    use: what it is for, as in "a folder for the run". Raises UserError for a file, and for a folder
    that cannot be read.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; give a folder for {use}.")
        paths = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        if error.errno in _REFUSED:
            raise UserError(f"{folder} cannot be used ({error.strerror}); give another.") from None
        raise
    return [
        path
        for path in paths
        if path.name != lock.LOCK_NAME and not path.name.startswith(atomic.TEMPORARY)
    ]


def refuse_foreign(folder: Path, held: Sequence[Path], not_what: str) -> None:
    """Raise UserError for a folder that holds something and is "not a run" (`not_what`)."""
    if held:
        names = ", ".join(path.name for path in held[:_SHOWN])
        raise UserError(
            f"{folder} is not empty and {not_what} (it holds {names}"
            f"{', ...' if len(held) > _SHOWN else ''}). Nothing was touched; give a new folder."
        )
