"""One writer per run folder: a POSIX record lock, which the kernel releases when a process ends."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from r1.errors import UserError

LOCK_NAME = ".lock"
_SHOWN_CHARACTERS = 200
_descriptors: dict[tuple[int, str], int] = {}  # (pid, folder) -> descriptor


def acquire(folder: Path) -> None:
    """Take the folder's lock for this process; taking it again does no harm.

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
        holder = _holder(descriptor)
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise _held(folder, holder) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    _descriptors[key] = descriptor


def refuse_held(folder: Path) -> None:
    """Raise UserError if another process writes the folder; take and create nothing.

    For the first moment of a command, before anything heavy is imported: the lock itself is taken
    once all has been checked.
    """
    if (os.getpid(), str(folder.resolve())) in _descriptors:
        return  # closing another descriptor of the file would give our own lock back
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return  # no folder, or none that was ever locked; whoever opens it says what is wrong
    try:
        # Shared, so that two commands that look at once do not see each other.
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise _held(folder, _holder(descriptor)) from None
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Return the process that wrote the lock's file and, if available, its command."""
    pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    if not pid.isdigit():
        return "pid unknown"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # no /proc, or a process of another machine
        return f"pid {pid}"
    command = " ".join(word.decode("utf-8", "replace") for word in words if word)
    shown = "".join(c if c.isprintable() else "?" for c in command)
    return f"pid {pid}: {shown[:_SHOWN_CHARACTERS]}" if shown else f"pid {pid}"


def _held(folder: Path, holder: str) -> UserError:
    return UserError(
        f"{folder} is being written by another process ({holder}). "
        "Wait for it, stop it, or give another folder."
    )


def release(folder: Path) -> None:
    """Release the lock, if held."""
    descriptor = _descriptors.pop((os.getpid(), str(folder.resolve())), None)
    if descriptor is not None:
        os.close(descriptor)
