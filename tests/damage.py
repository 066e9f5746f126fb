"""Every way in which the format of an external file can be damaged, as data: name -> bytes.

`spoil(path)` puts each damage in the file's place, one after the other; the reader is chosen by the
file's ending. Beside them stand things that are no file at all.
"""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Damage = Callable[[Path], None]


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _in_place(make: Callable[[Path], None]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


NO_FILE: dict[str, Damage] = {
    "a FIFO": _in_place(lambda path: os.mkfifo(path)),
    "a folder": _in_place(lambda path: path.mkdir()),
    "a socket": _in_place(_socket),
    "/dev/zero": _in_place(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": _in_place(lambda path: path.symlink_to(path.name)),
}

_TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "NUL bytes": lambda content: b"\0" * len(content),
    "invalid UTF-8": lambda content: content[:-8] + b"\xff\xfe" + content[-8:],
    "truncated": lambda content: content[: len(content) // 2],
    "random": lambda content: bytes((i * 197 + i // 7) % 256 for i in range(2000)) + b"\n",
}

_JSON: dict[str, Callable[[bytes], bytes]] = {
    **_TEXTS,
    "deep lists": lambda _: b"[" * 100_000 + b"\n",
    "deep objects": lambda _: b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n",
    "a list": lambda _: b"[1]\n",
    "a number": lambda _: b"1\n",
    "null": lambda _: b"null\n",
    "a huge integer": lambda _: b'{"step": ' + b"9" * 5000 + b"}\n",
    "a key twice": lambda _: b'{"step": 1, "step": 2}\n',
    "NaN": lambda _: b'{"step": NaN}\n',
    "1e999": lambda _: b'{"step": 1e999}\n',
}

_TOML: dict[str, Callable[[bytes], bytes]] = {
    **_TEXTS,
    "deep": lambda _: b"a = " + b"[" * 100_000,
    "a huge integer": lambda _: b"num_steps = " + b"9" * 5000,
    "a key twice": lambda content: content + b'\nkind = "a"\nkind = "b"\n',
    "a list for a table": lambda content: content + b"\ngrpo = [1]\n",
    "a date": lambda content: b"seed = 9999-99-99\n" + content,
}


def _tensors(header: Any, rest: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


def _entry(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


_SAFETENSORS: dict[str, Callable[[bytes], bytes]] = {
    **_TEXTS,
    "header of 2^63": lambda _: struct.pack("<Q", 1 << 63),
    "deep header": lambda _: _tensors(b"[" * 100_000),
    "a list": lambda _: _tensors([1]),
    "an entry without offsets": lambda _: _tensors({"a": {}}),
    "offsets that are texts": lambda _: _tensors(_entry(data_offsets=["0", "4"]), b"0000"),
    "negative offsets": lambda _: _tensors(_entry(data_offsets=[0, -4])),
    "offsets beyond the end": lambda _: _tensors(_entry(data_offsets=[0, 1 << 40])),
    "offsets that overlap": lambda _: _tensors({**_entry(), "b": _entry()["a"]}, b"0000"),
    "a shape of other size": lambda _: _tensors(_entry(shape=[1 << 62, 1 << 62]), b"0000"),
    "an unknown dtype": lambda _: _tensors(_entry(dtype="X9"), b"0000"),
    "NaN": lambda content: content[:-4096] + b"\xff" * 4096,
    "no tensors": lambda _: _tensors({}),
}


def _table(content: bytes, change: Callable[[pa.Table], pa.Table]) -> bytes:
    out = io.BytesIO()
    pq.write_table(change(pq.read_table(io.BytesIO(content))), out, compression="zstd")
    return out.getvalue()


def _nulls(table: pa.Table) -> pa.Table:
    return pa.table({f.name: pa.nulls(2, f.type) for f in table.schema}, schema=table.schema)


def _as_texts(table: pa.Table) -> pa.Table:
    return pa.table({name: pa.array(["x"] * 2) for name in table.column_names})


def _as_lists(table: pa.Table) -> pa.Table:
    return pa.table({name: pa.array([[[1]], None]) for name in table.column_names})


def _many(table: pa.Table) -> pa.Table:
    """More rows than completions may be; of a data set, whose size has no limit, fewer."""
    rows = 1_200_000 if "num_tokens" in table.schema.names else 60_000
    return table.slice(0, 1).take(pa.array([0] * rows, pa.int32()))


def _long(table: pa.Table) -> pa.Table:
    few = table.slice(0, 4)
    return _with_texts(few, pa.array(["a" * 30_000_000] * len(few)))


def _bytes(table: pa.Table) -> pa.Table:
    return _with_texts(table, pa.array([b"\xff\xfe"] * len(table)).view(pa.string()))


def _with_texts(table: pa.Table, texts: pa.Array) -> pa.Table:
    """The table with these in its first column of texts, or in one more where it has none."""
    names = [field.name for field in table.schema if pa.types.is_string(field.type)]
    if not names:
        return table.append_column("text", texts)
    return table.set_column(table.schema.names.index(names[0]), names[0], texts)


_PARQUET: dict[str, Callable[[bytes], bytes]] = {
    **_TEXTS,
    "footer cut": lambda content: content[:-6],
    "a byte of the footer": lambda content: content[:-40] + b"\xff" + content[-39:],
    "pages overwritten": lambda content: content[:4] + b"\xff" * 200 + content[204:],
    "other columns": lambda _: _table(_table_of(), lambda table: table),
    "only nulls": lambda content: _table(content, _nulls),
    "texts for numbers": lambda content: _table(content, _as_texts),
    "lists for values": lambda content: _table(content, _as_lists),
    "texts that are not UTF-8": lambda content: _table(content, _bytes),
    "many equal rows": lambda content: _table(content, _many),
    "texts of 30 MB": lambda content: _table(content, _long),
}


def _table_of() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), out)
    return out.getvalue()


_CSV: dict[str, Callable[[bytes], bytes]] = {
    **_TEXTS,
    "an open quote": lambda content: content + b'"9 + 1?,10\n',
    "a row that is too long": lambda content: content + b"a,b,c,d\n",
    "other columns": lambda _: b"a,b\n1,2\n",
    "a column twice": lambda content: content.replace(b"reference", b"prompt", 1),
    "only a head": lambda content: content.splitlines()[0],
    "a text of 200 kB": lambda content: content + b'"' + b"a" * 200_000 + b'",1\n',
}

_BY_SUFFIX = {
    ".json": _JSON,
    ".jsonl": _JSON,
    ".toml": _TOML,
    ".safetensors": _SAFETENSORS,
    ".parquet": _PARQUET,
    ".pt": _TEXTS,
    ".distcp": _TEXTS,
    "": _TEXTS,  # .metadata
    ".csv": _CSV,
    ".gz": _TEXTS,
    ".zip": _TEXTS,
    ".py": _TEXTS,
    ".md": _TEXTS,
}


def damages(path: Path) -> Iterator[tuple[str, Damage]]:
    """Every damage of a file by its name."""
    yield from NO_FILE.items()
    for name, change in _BY_SUFFIX[path.suffix].items():
        yield name, lambda file, change=change: _replace(file, change(file.read_bytes()))
    if path.suffix == ".json":
        yield from _fields(json.loads(path.read_text()))


def _fields(values: Any) -> Iterator[tuple[str, Damage]]:
    """Each field of an object left out, and of another type; one of those that are all texts."""
    if not isinstance(values, dict):
        return
    alike = len(values) > 1 and all(isinstance(value, str) for value in values.values())
    for key in list(values)[: 1 if alike else None]:
        rest = {k: v for k, v in values.items() if k != key}
        yield f"without {key}", _written(rest)
        for wrong in ("x", [1], {"a": {"b": [1]}}, -1.5, None):
            if type(wrong) is not type(values[key]):
                yield f"{key} is {json.dumps(wrong)}", _written({**values, key: wrong})


def _written(value: Any) -> Damage:
    return lambda path: _replace(path, json.dumps(value).encode())
