"""One writer a run folder: a POSIX record lock, which the kernel frees however a process ends."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from r1.errors import UserError

LOCK_NAME = ".lock"
_descriptors: dict[tuple[int, str], int] = {}  # (pid, folder) -> descriptor


def acquire(folder: Path) -> None:
    """Take the folder's lock for this process (again is harmless).

    Record locks rather than flock: forked reward workers do not inherit them, so a worker that
    outlives a killed run cannot keep its folder locked.
    Raises UserError naming the process that holds it.
    """
    key = (os.getpid(), str(folder.resolve()))
    if key in _descriptors:
        return
    path = folder / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise UserError(
            f"{folder} is being written by another process (pid {owner}). "
            "Wait for it, stop it, or give another folder."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    _descriptors[key] = descriptor


def release(folder: Path) -> None:
    """Give the lock back; without one, do nothing."""
    descriptor = _descriptors.pop((os.getpid(), str(folder.resolve())), None)
    if descriptor is not None:
        os.close(descriptor)
