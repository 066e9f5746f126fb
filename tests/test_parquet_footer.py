"""The footer that is read here says what the library says, and what is damaged is an error."""

from __future__ import annotations

import io
import random
import struct
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clock import soon
from r1.errors import UserError
from r1.files.footer import FooterError, read_row_groups
from r1.files.parquet import read_rows

FOUND = Path(__file__).parent / "data/fuzz_seeds"
FOUND = FOUND / "bench-bench-math500+blocks+block-00000.parquet" / "17-872"
TABLE = pa.table(
    {
        "text": [f"{'word ' * (n % 7)}{n}" for n in range(90)],
        "number": list(range(90)),
        "share": [n / 7 if n % 5 else None for n in range(90)],
        "right": [n % 2 == 0 for n in range(90)],
        "labels": [[1.0, None, n / 2] for n in range(90)],
        "turns": [[{"role": "user", "content": "x" * n}] * (n % 3) for n in range(90)],
        "nothing": pa.nulls(90),
    }
)


def written(**options) -> bytes:
    file = io.BytesIO()
    pq.write_table(TABLE, file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 7},
        {"use_dictionary": False, "compression": "zstd"},
        {"version": "1.0", "write_statistics": False, "write_page_index": True},
        {"store_schema": False, "use_dictionary": ["text", "number"], "row_group_size": 40},
    ],
)
def test_it_says_what_the_library_says(options) -> None:
    data = written(**options)
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    found = read_row_groups(io.BytesIO(data))
    assert len(found) == metadata.num_row_groups
    for place, group in enumerate(found):
        theirs = metadata.row_group(place)
        assert group.num_rows == theirs.num_rows
        assert len(group.chunks) == theirs.num_columns == 8  # of turns two
        for number, chunk in enumerate(group.chunks):
            column = theirs.column(number)
            assert chunk.name == column.path_in_schema.partition(".")[0]
            assert chunk.num_values == column.num_values
            assert chunk.unpacked_bytes == column.total_uncompressed_size
            assert chunk.dictionary_offset == column.dictionary_page_offset


def with_footer(footer: bytes) -> io.BytesIO:
    return io.BytesIO(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"\x00",
        b"\x49\x1c",  # a list that ends with the file
        b"\x15" + b"\xff" * 400_000,  # a number without an end
        b"\x1c" * 100_000,  # structs in structs
        b"\x19" + b"\x19" * 100_000,  # lists in lists
        b"\x1b\x01",  # a map, of which the format has none here
        b"\x18\xff\xff\xff\xff\x0f",  # a text that is longer than all
        b"\x46\x02\x00",  # row groups that are a number
        b"\x49\x15\x00\x00",  # row groups that are numbers
        b"\x49\x1c\x36\x02\x06\x06\x04\x00\x00",  # a field that comes twice
        b"\x49\x1c\x36" + b"\xff" * 9 + b"\x7f\x00\x00",  # more than 64 bits
        b"\x49\x1c\x19\x1c\x3c\x39\x18\x01\xff\x00\x00\x00",  # a name that is no UTF-8
    ],
)
def test_what_is_damaged_is_an_error_at_once(footer) -> None:
    with soon(), pytest.raises(FooterError):
        read_row_groups(with_footer(footer))


def test_any_damage_is_an_error_or_an_answer() -> None:
    data, draw = written(row_group_size=30), random.Random(5)
    size = struct.unpack("<I", data[-8:-4])[0]
    for _ in range(3000):
        footer = bytearray(data[-8 - size : -8])
        for _ in range(draw.randrange(1, 4)):
            footer[draw.randrange(len(footer))] = draw.randrange(256)
        kept = draw.choice([size, size, size // 2])
        with suppress(FooterError):
            read_row_groups(with_footer(bytes(footer[:kept])))


def test_size_statistics_of_another_type_are_an_error_and_no_end() -> None:
    """pyarrow ends the process where its own view of such a chunk is asked for."""
    with pytest.raises(UserError, match=r"cannot be read as Parquet .*does not support INT64"):
        list(read_rows(FOUND))
