"""The column chunks that a Parquet file's footer names, read without the library.

pyarrow ends the process where a chunk's size statistics do not fit its type (an exception leaves
`RowGroupMetaData.column`, which may not throw; 26.0.1). Reading the same file is safe: there the
library turns it into an error. So what must be known before anything is read comes from here.

The footer is a struct in Thrift's compact protocol; the fields' numbers are those of the format's
parquet.thrift. Linear in the footer's bytes, some ten microseconds a chunk.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

STOP, BOOLEANS, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = (
    0, (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12,
)  # fmt: skip
MAX_DEPTH = 32
MAX_SHIFT = 63


class FooterError(ValueError):
    """The footer is not what the format says."""


class Chunk(NamedTuple):
    """A column chunk. name: of the column, its first part; dictionary_offset: None without one."""

    name: str
    num_values: int
    unpacked_bytes: int
    dictionary_offset: int | None


class RowGroup(NamedTuple):
    """A row group's chunks."""

    num_rows: int
    chunks: list[Chunk]


Reader = Callable[[bytes, int], tuple[Any, int]]
"""Reads a value at a place; returns it, and the place after it."""
Field = tuple[int, Reader]
"""A field's type and what reads it."""
Fields = Mapping[int, Field]
"""By their numbers."""
_UNREAD: tuple[int, None] = (0, None)


def read_row_groups(file: IO[bytes]) -> list[RowGroup]:
    """Return the row groups of an open Parquet file. Raises FooterError."""
    try:
        file.seek(-8, 2)
        size = struct.unpack("<I4s", file.read(8))[0]
        file.seek(-8 - size, 2)
        found, _ = _struct(file.read(size), 0, _FILE)
        return [RowGroup(group[3], [_chunk(chunk[3]) for chunk in group[1]]) for group in found[4]]
    except (IndexError, KeyError, UnicodeDecodeError, struct.error) as error:
        raise FooterError(f"the footer is damaged ({type(error).__name__})") from None


def _chunk(fields: dict[int, Any]) -> Chunk:
    return Chunk(fields[3][0].decode(), fields[5], fields[6], fields.get(11))


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                raise FooterError("the footer is damaged (a number beyond 64 bits)")
            return value, place
        shift += 7
        if shift > MAX_SHIFT:
            raise FooterError("the footer is damaged (a number without an end)")


def _integer(data: bytes, place: int) -> tuple[int, int]:
    """A signed number, zigzag."""
    value, place = _varint(data, place)
    return (value >> 1) ^ -(value & 1), place


def _head(data: bytes, place: int) -> tuple[int, int, int]:
    """The number and the type of a list's elements, and the place of the first."""
    byte = data[place]
    number, place = byte >> 4, place + 1
    if number == 15:
        number, place = _varint(data, place)
    return number, byte & 15, place


def _list_of(kind: int, element: Reader) -> Reader:
    def read(data: bytes, place: int) -> tuple[list[Any], int]:
        number, given, place = _head(data, place)
        if number and given != kind:
            raise FooterError(f"the footer is damaged (a list of type {given})")
        found = []
        for _ in range(number):
            value, place = element(data, place)
            found.append(value)
        return found, place

    return read


def _bytes(data: bytes, place: int) -> tuple[bytes, int]:
    size, place = _varint(data, place)
    return data[place : place + size], place + size


def _struct_of(wanted: Fields) -> Reader:
    return lambda data, place: _struct(data, place, wanted)


def _struct(data: bytes, place: int, wanted: Fields) -> tuple[dict[int, Any], int]:
    """The wanted fields of a struct, by their numbers."""
    found: dict[int, Any] = {}
    number = 0
    while (head := data[place]) != STOP:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            number, place = _integer(data, place)
        kind, reader = wanted.get(number, _UNREAD)
        if reader is None:
            place = _skip(data, place, head & 15, 0)
            continue
        if head & 15 != kind or number in found:
            # the library would skip the one and take the last of the other: nothing may differ
            raise FooterError(f"the footer is damaged (field {number} is not what it must be)")
        found[number], place = reader(data, place)
    return found, place + 1


def _skip(data: bytes, place: int, kind: int, depth: int) -> int:
    """The place after a value of some type. Every element of a list takes a byte at least, so that
    no more is done than there are bytes."""
    if depth > MAX_DEPTH:
        raise FooterError("the footer is damaged (nested too deeply)")
    if kind in BOOLEANS:
        return place
    if kind == BYTE:
        return place + 1
    if kind in INTEGERS:
        return _varint(data, place)[1]
    if kind == DOUBLE:
        return place + 8
    if kind == BINARY:
        return _bytes(data, place)[1]
    if kind in LISTS:
        number, element, place = _head(data, place)
        if element in BOOLEANS:
            return place + number
        for _ in range(number):
            place = _skip(data, place, element, depth + 1)
        return place
    if kind != STRUCT:
        raise FooterError(f"the footer is damaged (a value of type {kind})")
    while (head := data[place]) != STOP:
        place += 1
        if not head >> 4:
            place = _integer(data, place)[1]
        place = _skip(data, place, head & 15, depth + 1)
    return place + 1


_LONG: Field = (6, _integer)
_META = {3: (9, _list_of(BINARY, _bytes)), 5: _LONG, 6: _LONG, 11: _LONG}
_CHUNK = {3: (STRUCT, _struct_of(_META))}
_GROUP = {1: (9, _list_of(STRUCT, _struct_of(_CHUNK))), 3: _LONG}
_FILE: Fields = {4: (9, _list_of(STRUCT, _struct_of(_GROUP)))}
