"""Inputs of a run from outside its folder: recorded by content at the start, compared later.

    lineage.json   inputs: [{role, source, files: {name: {bytes, sha256}}}, ...]

role: the setting that names it ("data.train.0.path", "model", "rewards.plugins.mine"). source: its
path, which may change, as a run and its data may be moved. Every byte of every file is hashed at
every start, since a file's content can change while size and time stay; several files are hashed in
parallel.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from r1.errors import UserError
from r1.files.regular import open_file
from r1.run_dir import atomic
from r1.run_dir.recipe_check import first_lines

_THREADS = 8
_KEPT_FROM_BYTES = 64 << 20
_SHOWN = 8


class FileHash(NamedTuple):
    """The size and hash of one file."""

    bytes: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.bytes:,} bytes, SHA-256 {self.sha256[:12]}"


class Input(NamedTuple):
    """A source outside a run that its numbers depend on; without files if nothing is local."""

    role: str
    source: str
    files: Mapping[str, FileHash]

    def as_json(self) -> dict[str, Any]:
        """Return the record for lineage.json and a stage's marker."""
        files = {name: found._asdict() for name, found in self.files.items()}
        return {"role": self.role, "source": self.source, "files": files}

    def summary(self) -> dict[str, Any]:
        """Return source, size and one hash over all files; for one file its own hash."""
        if not self.files:
            return {"source": self.source}
        size = sum(found.bytes for found in self.files.values())
        hashes = {name: found.sha256 for name, found in self.files.items()}
        whole = next(iter(hashes.values())) if len(hashes) == 1 else atomic.hash_of(hashes)
        return {"source": self.source, "bytes": size, "sha256": whole}


def from_json(records: Iterable[Mapping[str, Any]]) -> list[Input]:
    """Read the inputs that `as_json` recorded."""
    return [
        Input(
            str(record["role"]),
            str(record["source"]),
            {
                name: FileHash(int(found["bytes"]), str(found["sha256"]))
                for name, found in record["files"].items()
            },
        )
        for record in records
    ]


def hash_files(files: Mapping[str, Path]) -> dict[str, FileHash]:
    """Return size and SHA-256 of files by name, several read at once."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return dict(zip(files, threads.map(hash_file, files.values()), strict=True))


def hash_file(path: Path) -> FileHash:
    """Return size and SHA-256 of a file; in one process a large unchanged file is read once.

    The kernel alone sets the time of a file's last change (ctime), so that none can be missed but
    one within the clock's tick; small files are therefore read every time. Raises UserError for
    what is no regular file.
    """
    with open_file(path) as file:
        found = os.fstat(file.fileno())
    if found.st_size < _KEPT_FROM_BYTES:
        return FileHash(found.st_size, atomic.sha256(path))
    stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return FileHash(found.st_size, _hash_of_large(path, stamp))


@lru_cache(maxsize=4096)
def _hash_of_large(path: Path, stamp: tuple[int, ...]) -> str:
    return atomic.sha256(path)


def differences(before: Sequence[Input], now: Sequence[Input]) -> list[str]:
    """Return a line per file that changed, was added or was removed, in input order.

    An input that only one side knows says nothing: the settings that name it differ then.
    """
    known = {given.role: given for given in before}
    lines = []
    for given in now:
        if given.role not in known:
            continue
        old = known[given.role]
        for name in [*old.files, *(name for name in given.files if name not in old.files)]:
            was, is_now = old.files.get(name), given.files.get(name)
            if was != is_now:
                where = f"{given.role} ({given.source}): {name}"
                lines.append(f"{where}: {was or 'not there'} in the run, {is_now or 'gone'} now")
    return lines


def refuse_changed(folder: Path, lines: Sequence[str]) -> None:
    """Raise UserError if a run's inputs changed since its start (lines)."""
    if not lines:
        return
    raise UserError(
        f"{folder} was begun with other files. Changed since:\n{first_lines(lines, _SHOWN)}\n"
        "Nothing was changed in the run. Put them back as they were to carry it on; or give "
        "another folder (--out) for a new run; or add --accept-changes to carry on with them as "
        "they are now, which is recorded in its lineage."
    )
