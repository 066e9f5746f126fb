"""Mutations of external files: of their bytes, and of what their format holds.

Bytes alone seldom get past a format's own checks; a changed tree, table or pickle does. Equal
generators give equal inputs, so that a fault is found again by its number.
"""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

DEEP = "@deep@"
ATOMS: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 1 << 31, 1 << 53, 1 << 63, 1 << 64, 10**30, -(1 << 63), -1.5,
    0.1, 1e308, float("nan"), float("inf"), "", " ", "x", "7", "\0", "\ud800", "\ufeff", "目",
    "../../etc/passwd", "/dev/zero", "a" * 70_000, "step-000001", "\x1b[2J", "NaN", "1e999",
    [], {}, [[]], [None], {"a": {}}, {"": None}, DEEP,
)  # fmt: skip
_TOML = (
    "1", "-1", "1e999", "nan", "inf", "true", '""', '"x"', "'''\n'''", "[]", "[1]", "{}",
    "{ a = 1 }", "9" * 30, "9" * 5000, "1979-05-27", "07:32:00", "0x10", "[" * 300, '"\\ud800"',
)  # fmt: skip
_WORDS = (b"\0", b"\xff", b'"', b"\n", b"\r", b",", b"{", b"[", b"\\", b"NaN", b"-1", b"9" * 40)

Change = Callable[[bytes, random.Random], bytes]


def mutate(content: bytes, file: Path, rng: random.Random) -> bytes:
    """A mutation of a file's content, by the name of the file."""
    change = _BY_NAME.get(file.name) or _BY_SUFFIX.get(file.suffix, mutate_bytes)
    draw = rng.random()
    try:
        changed = content if draw < 0.2 else change(content, rng)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, pa.ArrowException):
        changed = content  # kept seeds are damaged already: they have no tree to change
    except (RuntimeError, EOFError, AttributeError, struct.error):
        changed = content
    return mutate_bytes(changed, rng) if changed == content or draw > 0.8 else changed


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat and insert a few bytes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        if rng.random() < 0.3:  # the heads and tails of formats say the most
            at = rng.choice((at % 64, max(0, len(data) - at % 64)))
        size = rng.choice((1, 1, 2, 8, 100))
        what = rng.randrange(6)
        if what == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            del data[at : at + size]
        elif what == 2:
            data[at:at] = data[at : at + size] * rng.choice((1, 2, 30))
        elif what == 3:
            data[at:at] = rng.choice(_WORDS)
        elif what == 4:
            data[at : at + size] = rng.randbytes(size)
        else:
            number = rng.choice((0, 1, -1, 127, 1 << 31, (1 << 63) - 1, rng.randrange(1 << 40)))
            data[at : at + 8] = struct.pack("<q", number)
    return bytes(data)


def mutate_tree(value: Any, rng: random.Random, atoms: tuple[Any, ...] = ATOMS) -> Any:
    """Replace, remove, repeat or wrap a few nodes of nested lists and dictionaries."""
    root = [value]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder, key = rng.choice(list(_places(root)))
        what = rng.randrange(8)
        if what < 4:
            holder[key] = rng.choice(atoms)
        elif what == 4 and holder is not root:
            del holder[key]
        elif what == 5:
            holder[key] = rng.choice(([holder[key]], {"a": holder[key]}))
        elif what == 6 and isinstance(holder, dict):
            holder[rng.choice((f"{key} ", "a", "", "step", "../x"))] = holder[key]
        else:
            other, place = rng.choice(list(_places(root)))
            if holder is not root:
                holder[key] = other[place] if other is not root else None
    return root[0]


def _places(root: list[Any]) -> Any:
    """Every (holder, key) of a tree; a bound keeps trees that hold themselves finite."""
    waiting: list[Any] = [root]
    for holder in waiting:
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list) and len(waiting) < 500:
                waiting.append(holder[key])


def _dumped(value: Any, rng: random.Random) -> bytes:
    depth = rng.choice((50, 99, 101, 900, 50_000))
    text = json.dumps(value, ensure_ascii=rng.random() < 0.8)
    return text.replace(f'"{DEEP}"', "[" * depth + "]" * depth).encode("utf-8", "surrogatepass")


def _json(content: bytes, rng: random.Random) -> bytes:
    return _dumped(mutate_tree(json.loads(content), rng), rng)


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines()
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(lines))
        lines[at] = rng.choice((lines[at], _json(lines[at], rng), _json(lines[at], rng)))
        if rng.random() < 0.2:
            lines.insert(at, rng.choice((lines[at], b"", b" ", b"[]", b"1")))
    return b"\n".join(lines) + b"\n"


def _toml(content: bytes, rng: random.Random) -> bytes:
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 2, 3))):
        at = rng.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        lines[at] = f"{key}= {rng.choice(_TOML)}" if equals else lines[at].replace("[", "", 1)
        if rng.random() < 0.5:
            path = rng.choice(("grpo", "data.train", "a.b", "sampling.temperature", "rewards"))
            lines.insert(
                at, rng.choice((f"{path} = {rng.choice(_TOML)}", f"[{path}]", f"[[{path}]]"))
            )
    return "\n".join(lines).encode()


def _csv(content: bytes, rng: random.Random) -> bytes:
    cells = [line.split(b",") for line in content.splitlines()]
    for _ in range(rng.choice((1, 2, 4))):
        row = rng.choice(cells)
        row[rng.randrange(len(row))] = rng.choice((b"", b'"', b'""', b"nan", b"a,b", b"1\r", b"\0"))
        if rng.random() < 0.2:
            cells.append(row)
    return rng.choice((b"\n", b"\r\n", b"\n\n")).join(b",".join(row) for row in cells)


def _safetensors(content: bytes, rng: random.Random) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    text = _dumped(mutate_tree(header, rng), rng)
    told = rng.choice((len(text), len(text), len(text), 0, len(text) + 1, len(content), 1 << 62))
    return struct.pack("<Q", told) + text + rng.choice((rest, rest, rest[:-1], rest + b"\0", b""))


def _column(num_rows: int, rng: random.Random) -> pa.Array:
    texts = pa.array([rng.choice(("", "x", "目", "a" * 9000)) for _ in range(num_rows)])
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: pa.nulls(num_rows, rng.choice((pa.null(), pa.string(), pa.int64(), pa.binary()))),
        lambda: pa.array([rng.choice((0, -1, 1 << 62)) for _ in range(num_rows)]),
        lambda: pa.array([rng.choice((0.0, float("nan"), 1e308)) for _ in range(num_rows)]),
        lambda: texts.cast(pa.large_string()),
        lambda: texts.cast(pa.binary()),
        lambda: texts.dictionary_encode(),
        lambda: pa.array([b"\xff\xfe"] * num_rows).view(pa.string()),
        lambda: pa.array([[["x"], None, []]] * num_rows),
        lambda: pa.array([{"a": {"b": None}, "": 1}] * num_rows),
        lambda: pa.array([(1 << 62)] * num_rows).cast(pa.timestamp("s")),
        lambda: pa.array([(1 << 62)] * num_rows).cast(pa.duration("us")),
        lambda: pa.array([20_000_000] * num_rows, pa.int32()).cast(pa.date32()),
        lambda: pa.array([None] * num_rows, pa.decimal128(38, 10)),
        lambda: pa.array([[("k", 1)]] * num_rows, pa.map_(pa.string(), pa.int64())),
        lambda: pa.array([b"abcd"] * num_rows, pa.binary(4)),
        lambda: pa.array([1.0] * num_rows, pa.float16()),
        lambda: pa.array([True] * num_rows),
        lambda: pa.array(["x"] * num_rows, pa.string_view()),
    )
    return rng.choice(kinds)()


def _parquet(content: bytes, rng: random.Random) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, name = (index := rng.randrange(table.num_columns)), table.column_names[index]
        what = rng.randrange(8)
        if what < 5:
            table = table.set_column(at, name, _column(len(table), rng))
        elif what == 5 and table.num_columns > 1:
            table = table.remove_column(at)
        elif what == 6:
            table = table.append_column(rng.choice((name, "", "a.b", "reward/目")), table[at])
        else:
            table = table.take(pa.array([0] * rng.choice((0, 1, 300)), pa.int32()))
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        compression=rng.choice(("none", "snappy", "zstd", "gzip", "lz4")),
        use_dictionary=rng.random() < 0.5,
        version=rng.choice(("1.0", "2.4", "2.6")),
        data_page_version=rng.choice(("1.0", "2.0")),
        row_group_size=rng.choice((1, 3, 1000)),
    )
    return out.getvalue()


def _learner_state(content: bytes, rng: random.Random) -> bytes:
    state = torch.load(io.BytesIO(content), weights_only=False)
    tensors = (
        torch.zeros(3), torch.zeros(()), torch.tensor(1 << 40), torch.zeros(2, 2, dtype=torch.int8),
        torch.full((64,), float("nan")), torch.zeros(0), torch.zeros(3).to_sparse(),
        torch.zeros(4, device="meta"),
    )  # fmt: skip
    out = io.BytesIO()
    torch.save(mutate_tree(state, rng, (*ATOMS, *tensors, *tensors)), out)
    return out.getvalue()


_BY_NAME: dict[str, Change] = {"learner.pt": _learner_state}
_BY_SUFFIX: dict[str, Change] = {
    ".json": _json,
    ".jsonl": _lines,
    ".toml": _toml,
    ".csv": _csv,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
