"""Finished records of a data set, one line each, until their shard is written.

A line is `<crc32> <JSON>`. It reaches the operating system before the next record is looked at, so
a kill at any moment leaves whole lines and at most one torn one; a power cut may take some lines
more. Either is found by the checksum and cut off, and what is missing is made again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from r1.files.json_text import FormatError, parse_json
from r1.files.regular import open_file
from r1.files.shapes import fitted, made_of
from r1.run_dir.atomic import write_file, writing

SAMPLED_TOKENS = "sampled_tokens"


@dataclass(slots=True)
class Record:
    """What became of one item (a prompt with all its samples).

    key: identifies the item, so that another stream is not taken for this one.
    counts: what the data card adds up ("sampled", SAMPLED_TOKENS of all that was drawn for the
        item, "tokens" of the rows kept, "dropped/<reason>", …).
    rows: the rows kept, columns by name, JSON-serialisable.
    """

    index: int
    key: str
    family: str
    counts: dict[str, int] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


class _Stored(TypedDict):
    index: int
    key: str
    family: str
    counts: dict[str, int]
    rows: list[dict[str, Any]]


class Journal:
    """An append-only file of records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def read(self) -> Iterator[Record]:
        """Yield the whole records and cut off what follows the last of them."""
        if not self.path.exists():
            return
        good = 0
        with open_file(self.path) as file:
            for line in file:
                record = _parse(line)
                if record is None:
                    break
                good += len(line)
                yield record
        with self.path.open("rb+") as file:
            file.truncate(good)

    def append(self, record: Record) -> None:
        """Add a record; UserError for a full disk."""
        with writing(self.path):
            if self._file is None:
                self._file = self.path.open("ab")
            self._file.write(_line(record))
            self._file.flush()

    def replace(self, records: Iterable[Record]) -> None:
        """Put other records in place of all, atomically."""
        self.close()
        content = b"".join(_line(record) for record in records)
        write_file(self.path, lambda temporary: _write(temporary, content))

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; appending opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(record: Record) -> bytes:
    text = json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":"))
    data = text.encode("utf-8")
    return b"%08x %s\n" % (zlib.crc32(data), data)


def _parse(line: bytes) -> Record | None:
    checksum, _, data = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(data):
        return None
    try:
        return made_of(Record, fitted(parse_json(data), _Stored))
    except FormatError:
        return None


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
