"""Read, bound and check headers of safetensors files before a library maps the file.

Layout: 8 bytes, the header's length N; N bytes of JSON, an object of
{name: {dtype, shape, data_offsets: [begin, end]}} and __metadata__; then the tensors' bytes.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field
from typing_extensions import TypedDict

from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import open_file
from r1.files.shapes import fitted

_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "U16": 16, "I16": 16,
    "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
    "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
_Natural = Annotated[int, Field(ge=0)]


class _Entry(TypedDict):
    dtype: str
    shape: Annotated[list[_Natural], Field(max_length=64)]
    data_offsets: tuple[_Natural, _Natural]


class TensorEntry(NamedTuple):
    """One tensor of a file; begin and end count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(file: Path) -> Mapping[str, TensorEntry]:
    """Return the tensors of a safetensors file by name.

    Raises UserError where the file is missing, truncated or longer than its header says, where
    the header is malformed, and where a tensor's bytes lie outside the file, over another's, or do
    not fit its shape.
    """
    try:
        stream = open_file(file)
    except FileNotFoundError:
        raise UserError(f"{file} does not exist; copy it there.") from None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if 8 + length > size:
            raise UserError(f"{file} is truncated or no safetensors file; copy it again.")
        if length > _MAX_HEADER_BYTES:
            raise UserError(f"{file} has a header of {length:,} bytes; copy it again.")
        content = stream.read(length)
    try:
        found = _entries(parse_json(content, finite=True))
    except FormatError as fault:
        raise UserError(f"{file} has a damaged header ({fault}); copy it again.") from None
    expected = 8 + length + max((entry.end for entry in found.values()), default=0)
    if size != expected:
        raise UserError(
            f"{file} has {size} bytes where its header promises {expected}; copy it again."
        )
    return found


def _entries(header: object) -> dict[str, TensorEntry]:
    if not isinstance(header, dict):
        raise FormatError("it is no object")
    found: dict[str, TensorEntry] = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        if isinstance(told, dict) and isinstance(told.get("data_offsets"), list):
            told = {**told, "data_offsets": tuple(told["data_offsets"])}
        try:
            entry = fitted(told, _Entry)
        except FormatError as fault:
            raise FormatError(f"tensor {name[:80]!r}: {fault}") from None
        begin, end = entry["data_offsets"]
        found[name] = TensorEntry(entry["dtype"], tuple(entry["shape"]), begin, end)
    _check_places(found)
    return found


def _check_places(found: Mapping[str, TensorEntry]) -> None:
    """Check that every tensor has the bytes of its shape, one after the other."""
    reached = 0
    for name, entry in sorted(found.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.dtype not in _BITS:
            raise FormatError(f"tensor {name[:80]!r}: dtype {entry.dtype[:20]!r} is unknown")
        bits = _BITS[entry.dtype] * math.prod(entry.shape)
        if entry.begin != reached or 8 * (entry.end - entry.begin) != bits:
            raise FormatError(
                f"tensor {name[:80]!r}: data_offsets {entry.begin} to {entry.end} do not fit "
                f"its shape, or its place after byte {reached}"
            )
        reached = entry.end
