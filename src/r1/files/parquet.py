"""Read Parquet files in batches, with a limit on a batch's unpacked size.

A file may unpack to a thousand times its size: one text of 100 MB, stored once, can be in every
row. Texts are therefore read as dictionaries (each value once, and a number a row), and their size
is computed from the lengths before a single row is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.files.footer import Chunk, RowGroup, read_row_groups
from r1.files.regular import open_file

ROWS_AT_ONCE = 1024
MAX_BATCH_BYTES = 512 << 20
"""A batch of 1,024 rows that unfolds to more has rows of half a megabyte each."""

MAX_TEXT_BYTES = 16 << 20
MAX_ROWS_BYTES = 2 << 30
"""Of rows or columns that are kept together, and of one column of a row group in the file."""

_CELL_BYTES = 64
"""What a value of a row costs in Python beside its text."""

Choose = Callable[[list[str]], list[str]]


def count_rows(path: Path) -> int:
    """Return the number of rows, from the footer. Raises UserError as read_batches does."""
    with _opened(path) as file:
        return file.metadata.num_rows


def column_names(path: Path) -> list[str]:
    """Return the names of the columns. Raises UserError as read_batches does."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def read_batches(path: Path, choose: Choose | None = None) -> Iterator[Any]:
    """Yield record batches of at most ROWS_AT_ONCE rows; texts are dictionary-encoded.

    choose: given the names of the columns, those to read. Raises UserError for a file that is
    missing, no regular file, or damaged, and for a batch that unfolds to more than MAX_BATCH_BYTES.
    """
    import pyarrow as pa

    with _opened(path) as file:
        schema = file.schema_arrow
        columns = None if choose is None else choose(list(schema.names))
        texts = [field.name for field in schema if _is_text(field.type)]
    rows_at_once = _safe_rows(path, set(columns or schema.names) - set(texts))
    with _opened(path, texts) as file:
        for batch in file.iter_batches(rows_at_once, columns=columns):
            batch.validate(full=True)  # texts that are not UTF-8, offsets that lead out of it
            size = unfolded_bytes(batch)
            longest = _longest_text(batch)
            if longest > MAX_TEXT_BYTES:
                raise _too_large(path, "one text", longest, MAX_TEXT_BYTES)
            if size > MAX_BATCH_BYTES:
                raise _too_large(path, f"{batch.num_rows} rows", size, MAX_BATCH_BYTES)
            assert isinstance(batch, pa.RecordBatch)
            yield batch


def read_rows(
    path: Path,
    choose: Choose | None = None,
    keep: Callable[[Any], Any] | None = None,
    max_bytes: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield rows as dictionaries. Raises UserError as read_batches does.

    keep: given a batch, a boolean array of the rows to yield; the others are never made.
    max_bytes: of all rows that are yielded, for a caller who keeps them.
    """
    made = 0
    if max_bytes is not None and keep is None:  # told at once, not after a minute of reading
        names = column_names(path)
        least = _CELL_BYTES * count_rows(path) * len(names if choose is None else choose(names))
        if least > max_bytes:
            raise _too_large(path, "its rows", least, max_bytes)
    for batch in read_batches(path, choose):
        part = batch if keep is None else _filtered(path, batch, keep)
        made += unfolded_bytes(part) + _CELL_BYTES * part.num_rows * part.num_columns
        if max_bytes is not None and made > max_bytes:
            raise _too_large(path, "its rows", made, max_bytes)
        with _faults(path):
            rows = part.to_pylist()
        yield from rows


def read_columns(path: Path, names: Sequence[str]) -> Any:
    """Return a table of the named columns with plain texts, at most MAX_ROWS_BYTES of them.

    Raises UserError as read_batches does, and for a column that is not there.
    """
    import pyarrow as pa

    def choose(available: list[str]) -> list[str]:
        missing = [name for name in names if name not in available]
        if missing:
            raise UserError(
                f'{path} has no column "{missing[0]}" (it has: {", ".join(available)[:200]}); '
                "restore the file."
            )
        return list(names)

    size, batches = 0, []
    for batch in read_batches(path, choose):
        size += unfolded_bytes(batch)
        if size > MAX_ROWS_BYTES:
            raise _too_large(path, "these columns", size, MAX_ROWS_BYTES)
        batches.append(batch)
    with _opened(path) as file:
        schema = pa.schema([file.schema_arrow.field(name) for name in names])
    with _faults(path):
        return pa.table(
            {
                field.name: pa.chunked_array(
                    [_plain(batch[field.name], field.type) for batch in batches], field.type
                )
                for field in schema
            },
            schema=schema,
        )


def require_types(path: Path, wanted: Mapping[str, Sequence[str]]) -> None:
    """Raise UserError if a column is missing or has none of the kinds that `wanted` allows for it:
    "text", "integer", "number", "boolean" or "null" (only nulls)."""
    with _opened(path) as file:
        schema = file.schema_arrow
    for name, kinds in wanted.items():
        if schema.names.count(name) != 1:
            raise UserError(f'{path} has no single column "{name}"; restore the file.')
        kind = _kind(schema.field(name).type)
        if kind not in kinds:
            raise UserError(
                f'{path}: column "{name}" holds {schema.field(name).type}, where '
                f"{' or '.join(kinds)} belongs; restore the file."
            )


def unfolded_bytes(batch: Any) -> int:
    """Return a batch's size once every row has its own copy of its texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = 0
    for column in batch.columns:
        if not pa.types.is_dictionary(column.type):
            total += column.nbytes
            continue
        lengths = pc.binary_length(column.dictionary)
        total += pc.sum(lengths.take(column.indices)).as_py() or 0
    return total


def _longest_text(batch: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = [c.dictionary for c in batch.columns if pa.types.is_dictionary(c.type)]
    return max((pc.max(pc.binary_length(v)).as_py() or 0 for v in values), default=0)


@contextmanager
def _opened(path: Path, texts: Sequence[str] = ()) -> Iterator[Any]:
    """Open the file; turn the library's exceptions into UserError."""
    import pyarrow.parquet as pq

    try:
        stream = open_file(path)  # by its handle: the library takes no name that is not UTF-8
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.") from None
    with stream, _faults(path), pq.ParquetFile(stream, read_dictionary=list(texts)) as file:
        yield file


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except UserError:
        raise
    # The library raises its own errors, and Python's for what its values become: UnicodeDecodeError
    # and dates out of range (ValueError, OverflowError), unknown columns, memory.
    except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise UserError(
            f"{path} cannot be read as Parquet ({reason}); write or download it again."
        ) from None
    except MemoryError:
        raise UserError(
            f"{path} does not fit into memory; write it with smaller row groups."
        ) from None


def _safe_rows(path: Path, others: set[str]) -> int:
    """Return how many rows may be read at once, from the column chunks in the footer.

    others: columns that are read but cannot be dictionaries, such as lists of messages: a row of
    them is taken to be as large as the average of its chunk or, since every value may be the whole
    dictionary page, as that times its values.
    """
    with _faults(path):
        with open_file(path) as file:
            groups = read_row_groups(file)
        every = [(group, chunk) for group in groups for chunk in group.chunks]
        return min((_rows_of(path, *each, others) for each in every), default=ROWS_AT_ONCE)


def _rows_of(path: Path, group: RowGroup, chunk: Chunk, others: set[str]) -> int:
    """Return how many rows may be read at once for a column chunk's sake."""
    size = chunk.unpacked_bytes
    if not 0 <= size <= MAX_ROWS_BYTES:
        raise _too_large(path, f"a row group of column {chunk.name}", size, MAX_ROWS_BYTES)
    if chunk.name not in others:
        return ROWS_AT_ONCE
    row = -(-size // max(1, group.num_rows))
    if chunk.dictionary_offset is not None:
        values = -(-chunk.num_values // max(1, group.num_rows))
        largest = max(8, _dictionary_bytes(path, chunk.dictionary_offset))
        row = max(row, values * largest)
    if row > MAX_BATCH_BYTES:
        raise _too_large(path, f"a row of column {chunk.name}", row, MAX_BATCH_BYTES)
    return min(ROWS_AT_ONCE, MAX_BATCH_BYTES // row if row else ROWS_AT_ONCE)


def _dictionary_bytes(path: Path, offset: int) -> int:
    """Return the unpacked size of a dictionary page: field 2 of its header (Thrift's compact
    protocol: a byte 0x15 before either of the first two fields, the value zigzag in groups of seven
    bits)."""
    with open_file(path) as file:
        file.seek(offset)
        header = file.read(24)
    value, place = 0, 0
    for _ in range(2):
        if header[place : place + 1] != b"\x15":
            return MAX_TEXT_BYTES  # no header that we know: the most that a page may be
        value, shift = 0, 0
        for byte in header[place + 1 :]:
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        place += 1
    return value >> 1


def _filtered(path: Path, batch: Any, keep: Callable[[Any], Any]) -> Any:
    with _faults(path):
        return batch.filter(keep(batch))


def _plain(column: Any, kind: Any) -> Any:
    import pyarrow as pa

    return column.cast(kind) if pa.types.is_dictionary(column.type) else column


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _kind(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_text(kind):
        return "text"
    if pa.types.is_null(kind):
        return "null"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    return "number" if pa.types.is_floating(kind) else "other"


def _too_large(path: Path, what: str, size: int, limit: int) -> UserError:
    return UserError(
        f"{path}: {what} would take {size >> 20:,} MiB of memory, more than the "
        f"{limit >> 20:,} MiB allowed; restore the file, or write it with smaller rows."
    )
