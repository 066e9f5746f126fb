"""A data set that grows prompt by prompt, survives a kill at any moment, and ends the same.

    job.json        what the data set is made of: settings, source; another job is refused
    data/shard-00000.parquet, …       rows in the order of the items
    manifest.json   every shard with rows, bytes and SHA-256; how far the items are done; counts
    journal.jsonl   records of the shard to come; gone when the data set is complete

Records may arrive in any order and are journalled at once; rows are written in the order of the
items. Where a shard ends depends on the rows alone. A shard is written, then the manifest, then
the journal is begun anew: after a kill in between, what the manifest does not name is written
again with the same bytes, and what it does name is skipped in the journal.

Memory: the rows of one shard, and of records that came before their turn.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import TypedDict

from r1.curation.journal import Journal, Record
from r1.curation.settings import ShardSettings
from r1.errors import UserError
from r1.files import parquet
from r1.files.shapes import Inside, made_of, open_shape, read_json
from r1.run_dir import atomic, lock
from r1.run_dir.completions import storable
from r1.run_dir.shapes import Step

DATA = "data"
JOB = "job.json"
MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
FULL_CHARS = 64_000_000
"""Characters of text after which a shard is full whatever its rows: one is held in memory."""
ROW_GROUP = 1000
"""Rows of a Parquet row group: what a reader holds in memory at a time."""
_REPEATING = (
    "problem_id",
    "earlier",
    "prompt",
    "family",
    "language",
    "source",
    "origin",
    "reference",
)

Totals = dict[str, Counter[str]]
"""Counts by family."""


class Shard(NamedTuple):
    """One Parquet file of a data set; path is relative to the data set's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


class ShardMark(TypedDict):
    """A shard in the manifest."""

    path: Inside
    rows: Step
    bytes: Step
    sha256: str


@open_shape
class Manifest(TypedDict):
    """manifest.json"""

    complete: bool
    rows: Step
    items: Step
    stream: NotRequired[str]
    totals: NotRequired[dict[str, dict[str, int]]]
    shards: list[ShardMark]


class Store:
    """The writer of one data set; it holds the folder's lock until it is closed.

    shards: what is written. next_index: the first item that is not done, or not in its turn.
    totals: counts of all items before it. complete: there is nothing left to do.
    """

    shards: list[Shard]
    next_index: int
    totals: Totals
    complete: bool
    _stream: str
    _recorded: str
    _replayed: str
    _first_in_journal: int

    def __init__(
        self, folder: Path, job: Mapping[str, Any], schema: pa.Schema, settings: ShardSettings
    ) -> None:
        """Begin or carry on. Raises UserError where the folder holds another job's data, where a
        shard is gone, and where another process writes here."""
        atomic.make_folder(folder / DATA)
        lock.acquire(folder)
        self.folder, self.schema, self.settings = folder, schema, settings
        try:
            self._check_job(job)
            for place in (folder, folder / DATA):
                atomic.remove_leftovers(place)
            self._load_manifest()
            self._load_journal()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the folder back; what is journalled stays."""
        if hasattr(self, "_journal"):
            self._journal.close()
        lock.release(self.folder)

    def has(self, index: int) -> bool:
        """Whether an item is done."""
        return index < self.next_index or index in self._early

    def num_done(self) -> int:
        """How many items are done."""
        return self.next_index + len(self._early)

    def expect(self, index: int, key: str) -> None:
        """Tell which item comes as number `index`, from 0 without a gap.

        Raises UserError where another one was there before the interruption.
        """
        if index < self._first_in_journal:
            self._replayed = _chain(self._replayed, key)
            known = index + 1 < self._first_in_journal or self._replayed == self._recorded
        else:
            known = self._keys.get(index, key) == key
        if not known:
            raise UserError(
                f"{self.folder}: item {index + 1} ({key}) is not what this data set was begun "
                "with. Give the same problems in the same order, or another folder."
            )

    def add(self, record: Record) -> None:
        """Take the record of an item that is not done yet."""
        assert not self.has(record.index), f"item {record.index} is done"
        for row in record.rows:
            for name, value in row.items():
                if isinstance(value, str):
                    row[name] = storable(value)
        self._journal.append(record)
        self._early[record.index] = record
        self._settle()

    def finish(self, num_items: int) -> None:
        """Write the last shard and mark the data set complete.

        Raises UserError where there were more items before the interruption.
        """
        if num_items != self.next_index or self._early:
            raise UserError(
                f"{self.folder} was begun with more than the {num_items} items given now. Give "
                "the same problems in the same order, or another folder."
            )
        if self._rows:
            self._write_shard()
        self.complete = True
        self._write_manifest()
        self._journal.remove()

    def _check_job(self, job: Mapping[str, Any]) -> None:
        path = self.folder / JOB
        known = read_json(path)
        begun = (self.folder / MANIFEST).exists() or (self.folder / JOURNAL).exists()
        if known is None or (known != job and not begun):  # another that wrote nothing may go
            atomic.write_json(path, job)
        elif known != job:
            changed = [k for k in sorted({*known, *job}) if known.get(k) != job.get(k)]
            raise UserError(
                f"{self.folder} holds a data set made with another {' and '.join(changed)}. Give "
                f"another folder, or remove it to begin anew (compare {path})."
            )

    def _load_manifest(self) -> None:
        manifest: dict[str, Any] = read_json(self.folder / MANIFEST, {}, Manifest)
        self.shards = [made_of(Shard, shard) for shard in manifest.get("shards", [])]
        self.next_index = manifest.get("items", 0)
        self.complete = manifest.get("complete", False)
        self.totals = {f: Counter(c) for f, c in manifest.get("totals", {}).items()}
        self._stream = manifest.get("stream", "")
        self._recorded, self._replayed = self._stream, ""
        self._first_in_journal = self.next_index
        _check_sizes(self.folder, self.shards)

    def _load_journal(self) -> None:
        self._journal = Journal(self.folder / JOURNAL)
        self._early: dict[int, Record] = {}
        self._rows: list[dict[str, Any]] = []
        self._chars = 0
        self._keys: dict[int, str] = {}
        for record in self._journal.read():
            if record.index >= self.next_index:
                self._early[record.index] = record
                self._keys[record.index] = record.key
        self._settle()

    def _settle(self) -> None:
        """Move the records whose turn has come into the shard, and write it where it is full."""
        while (record := self._early.pop(self.next_index, None)) is not None:
            self.next_index += 1
            self._stream = _chain(self._stream, record.key)
            counts = self.totals.setdefault(record.family, Counter())
            counts.update(record.counts)
            self._rows += record.rows
            self._chars += sum(_chars(value) for row in record.rows for value in row.values())
            if len(self._rows) >= self.settings.rows or self._chars >= FULL_CHARS:
                self._write_shard()
                self._write_manifest()
                self._journal.replace(self._early.values())

    def _write_shard(self) -> None:
        name = f"{DATA}/shard-{len(self.shards):05d}.parquet"
        path = self.folder / name
        table = pa.table(
            {f.name: [row.get(f.name) for row in self._rows] for f in self.schema}, self.schema
        )
        repeating = [column for column in _REPEATING if column in self.schema.names]

        def write(temporary: Path) -> None:
            pq.write_table(
                table,
                temporary,
                compression="zstd",
                row_group_size=ROW_GROUP,
                use_dictionary=repeating,
            )

        atomic.write_file(path, write)
        size, digest = path.stat().st_size, atomic.sha256(path)
        self.shards.append(Shard(name, len(self._rows), size, digest))
        self._rows, self._chars = [], 0

    def _write_manifest(self) -> None:
        atomic.write_json(
            self.folder / MANIFEST,
            {
                "complete": self.complete,
                "rows": sum(shard.rows for shard in self.shards),
                "items": self.next_index,
                "stream": self._stream,
                "totals": {f: dict(sorted(c.items())) for f, c in sorted(self.totals.items())},
                "shards": [shard._asdict() for shard in self.shards],
            },
        )


def folder_of(path: Path) -> Path:
    """The folder of a data set, given it or its `data` folder (what a stage hands on)."""
    above = path.parent
    return above if path.name == DATA and (above / MANIFEST).is_file() else path


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a finished data set in their order, a row group in memory at a time.

    folder: the data set's, or its `data`. Raises UserError where there is none, and before the
    first row where a shard has another size than the manifest says.
    """
    folder = folder_of(folder)
    shards = [made_of(Shard, shard) for shard in _finished(folder)["shards"]]
    _check_sizes(folder, shards)
    for shard in shards:
        yield from parquet.read_rows(folder / shard.path)


class Size(NamedTuple):
    """How many items a data set was made from, and its rows."""

    items: int
    rows: int


def read_size(folder: Path) -> Size:
    """The size of a finished data set; UserError where there is none."""
    manifest = _finished(folder_of(folder))
    return Size(manifest["items"], manifest["rows"])


def verify(folder: Path) -> None:
    """Compare every shard with its SHA-256 in the manifest; UserError names the first that differs.

    Reads the whole data set.
    """
    for shard in read_json(folder / MANIFEST, {}, Manifest).get("shards", []):
        path = folder / shard["path"]
        if not path.is_file() or atomic.sha256(path) != shard["sha256"]:
            raise UserError(f"{path} is missing or was changed since it was written.")


def _check_sizes(folder: Path, shards: Iterable[Shard]) -> None:
    for shard in shards:
        path = folder / shard.path
        if not path.is_file() or path.stat().st_size != shard.bytes:
            raise UserError(
                f"{path} is missing or was changed, but {folder / MANIFEST} counts on it. "
                "Bring it back, or remove the folder to begin anew."
            )


def _finished(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] | None = read_json(folder / MANIFEST, shape=Manifest)
    if manifest is None or not manifest["complete"]:
        raise UserError(f"{folder} holds no finished data set; run the stage that makes it first.")
    return manifest


def _chars(value: Any) -> int:
    """How much text a value of a row holds."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_chars(item) for item in value)
    return sum(_chars(item) for item in value.values()) if isinstance(value, dict) else 0


def _chain(digest: str, key: str) -> str:
    return hashlib.sha256(f"{digest}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()
