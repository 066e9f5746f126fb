"""Open regular files only: a FIFO, a socket or a device could block a reader for ever."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from r1.errors import UserError

MAX_BYTES = 64 << 20
"""Of a document that is parsed whole: the index of the largest models has 20 MB."""
_PART_BYTES = 1 << 20

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file for reading in binary.

    Raises FileNotFoundError, which means something else to every caller, and UserError for
    whatever is no regular file or cannot be opened.
    """
    try:
        # Without O_NONBLOCK opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):  # the second: below a file there is none
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    except OSError as error:
        what = "a socket or a device" if error.errno == errno.ENXIO else error.strerror
        raise UserError(
            f"{path} cannot be opened ({what}); put a file there that may be read."
        ) from None
    except ValueError as error:  # a NUL byte in the name
        raise UserError(f"{str(path)!r} cannot be opened ({error}); give another name.") from None
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise UserError(
            f"{path} is {_KINDS.get(kind, 'no file')}; put a regular file in its place."
        )
    return os.fdopen(descriptor, "rb")


def check_regular(path: Path) -> int:
    """Return the size of a regular file that may be read. Raises as open_file does."""
    with open_file(path) as file:
        return os.fstat(file.fileno()).st_size


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the content of a regular file. Raises as open_file does, and UserError for a larger
    one."""
    parts, left = [], max_bytes + 1
    with open_file(path) as file:
        try:  # in parts: a single read sets aside as much memory as it may return
            while left and (part := file.read(min(left, _PART_BYTES))):
                parts.append(part)
                left -= len(part)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); restore it.") from None
    if not left:
        raise UserError(
            f"{path} has more than {max_bytes >> 20} MiB, too much for a file of its kind; "
            "put the right file in its place."
        )
    return b"".join(parts)
