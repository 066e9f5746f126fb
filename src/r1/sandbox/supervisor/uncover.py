"""Make folders reachable for another user, in a mount namespace of this process alone.

A Python or a bubblewrap below a home of mode 700 is out of reach for the unprivileged user that
programs run as. No permission on the machine changes: in a separate user and mount namespace, an
empty folder covers the closed one, and the requested folders are bound into it at their own paths.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_ALL = 0o001
_libc = ctypes.CDLL(None, use_errno=True)


class Handshake:
    """Two pipes: the child reports its namespace, the parent reports that its users are mapped."""

    def __init__(self) -> None:
        self._has_namespace = os.pipe()
        self._is_mapped = os.pipe()

    def uncover(self, folders: list[str]) -> None:
        """In the child: enter the namespace and uncover `folders`. Raises OSError if refused."""
        os.close(self._is_mapped[1])
        _check(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
        os.write(self._has_namespace[1], b"x")
        if not os.read(self._is_mapped[0], 1):
            raise OSError("no other user can be mapped")
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        opened = {folder: os.open(folder, os.O_PATH | os.O_CLOEXEC) for folder in folders}
        for cover in sorted({first_closed(folder) or folder for folder in folders}):
            _mount("tmpfs", cover, "tmpfs", 0, "mode=755,size=64k")
        for folder, fd in opened.items():
            os.makedirs(folder, mode=0o755, exist_ok=True)
            _mount(f"/proc/self/fd/{fd}", folder, None, _MS_BIND | _MS_REC)
            os.close(fd)

    def map_users(self, pid: int, uid: int) -> None:
        """In the parent: map root and the other user once the child has its namespace."""
        os.close(self._has_namespace[1])
        if os.read(self._has_namespace[0], 1):
            with contextlib.suppress(OSError):  # the child hears of it by the pipe's end
                for name in ("uid_map", "gid_map"):
                    with open(f"/proc/{pid}/{name}", "w") as file:
                        file.write(f"0 0 1\n{uid} {uid} 1\n")
                os.write(self._is_mapped[1], b"x")
        for fd in (self._has_namespace[0], *self._is_mapped):
            os.close(fd)


def first_closed(folder: str) -> str | None:
    """Return the outermost folder on the path to `folder` that blocks other users, or None."""
    parts = folder.strip("/").split("/")
    for end in range(1, len(parts) + 1):
        path = "/" + "/".join(parts[:end])
        if not os.stat(path).st_mode & _ALL:
            return path
    return None


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [None if w is None else w.encode() for w in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
