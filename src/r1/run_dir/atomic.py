"""Write so that a kill, a power cut or a full disk loses nothing already written.

A file is written under a temporary name beside its place, flushed to the disk, renamed, and its
folder flushed. A reader therefore sees the old file or the new one, never a part.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.files.regular import open_file

TEMPORARY = ".tmp-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG)
_CHUNK_BYTES = 1 << 20
_TORCH_SAVE = ("PytorchStreamWriter", "inline_container", "iostream error")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a refused write inside the block into a UserError that names `path`."""
    try:
        yield
    except UserError:
        raise  # somebody below has told it already
    # Broad because libraries wrap a full disk in exceptions of their own (safetensors, torch.save);
    # everything that is not a full disk or a refused write goes on unchanged.
    except Exception as error:
        if is_disk_full(error, path.parent):
            raise disk_full(path) from error
        if isinstance(error, OSError) and error.errno == errno.EISDIR:
            raise UserError(f"{path} is a folder; give the name of a file.") from error
        if isinstance(error, OSError) and error.errno in _REFUSED:
            raise UserError(
                f"{path} cannot be written ({error.strerror}). Give a folder of your own, "
                "or change its permissions."
            ) from error
        raise


def make_folder(folder: Path) -> None:
    """Make a folder that a user named. UserError for a full disk, a refused write, a file or a
    dead link in its place."""
    with writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            if folder.exists():
                raise UserError(f"{folder} is a file; give the name of a folder.") from None
            raise UserError(
                f"{folder} is a link to {os.readlink(folder)}, which does not exist; make that "
                "folder, or give another."
            ) from None


def disk_full(path: Path, numbers: str = "") -> UserError:
    """Return the message for a full disk. numbers: needed and free bytes."""
    return UserError(
        f"the disk is full: {path} could not be written{numbers}. Nothing already written was "
        "lost; free some space and start the same command again, it carries on from there."
    )


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether the error, or one of its causes, is a full disk or quota."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, OSError) and current.errno in _FULL:
            return True
        if os.strerror(errno.ENOSPC) in str(current):
            return True
        # torch.save only says that its writer failed; then the disk itself tells.
        if isinstance(current, RuntimeError) and any(word in str(current) for word in _TORCH_SAVE):
            return shutil.disk_usage(folder).free < _CHUNK_BYTES
        current = current.__cause__ or current.__context__
    return False


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary file by `write`, then rename it to `path`.

    Raises UserError for a full disk; the old file, if there was one, is then untouched.
    """
    temporary = path.with_name(TEMPORARY + path.name)
    with writing(path):
        try:
            write(temporary)
            flush_file(temporary)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; lone surrogates, which JSON lets into a text, become '?'."""
    write_file(path, lambda temporary: _write_bytes(temporary, text.encode("utf-8", "replace")))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically. Keys keep their order, numbers their repr."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line and flush it; a kill in between leaves at most one torn last line."""
    with writing(path):
        is_new = not path.exists()
        with path.open("ab") as file:
            file.write(line.encode("utf-8", "replace") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            flush_folder(path.parent)


def flush_file(path: Path) -> None:
    """Force a file's content to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Force a folder's entries (new and renamed names) to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal. Raises UserError for what is no regular file."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def hash_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of an interrupted write in `folder`."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith(TEMPORARY):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder; it is renamed first, so that a kill never leaves half a folder."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    if not path.name.startswith(TEMPORARY):
        path = path.rename(path.with_name(TEMPORARY + path.name))
    shutil.rmtree(path)


def put_aside(place: Path) -> Path:
    """Rename a folder to the first free `<name>.old-<n>`."""
    n = 1
    while (aside := place.with_name(f"{place.name}.old-{n}")).exists():
        n += 1
    place.rename(aside)
    return aside


def _write_bytes(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
