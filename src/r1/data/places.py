"""Where a source's bytes are: a file, a gzipped one, or a member of a zip archive.

A member is named by the path that it would have if the archive were a folder:
`mmlu.zip/data/test/anatomy_test.csv`.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from r1.errors import UserError
from r1.files.regular import check_regular, open_file

ZIP, GZIP = ".zip", ".gz"
_DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What the two libraries raise: RuntimeError for an encrypted member, NotImplementedError for a
compression that Python has not."""


@contextmanager
def open_data(path: Path) -> Iterator[IO[bytes]]:
    """Open a place for reading its unpacked bytes.

    Raises FileNotFoundError, and UserError for what is no regular file or damaged.
    """
    archive = archive_of(path)
    packed = archive is not None or path.suffix == GZIP
    try:
        if archive is None:
            with open_file(path) as file:
                yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
            return
        name = path.relative_to(archive).as_posix()
        with (
            open_file(archive) as file,
            zipfile.ZipFile(file) as opened,
            opened.open(name) as member,
        ):
            unzipped = gzip.GzipFile(fileobj=member) if path.suffix == GZIP else member
            yield io.BufferedReader(unzipped)  # type: ignore[arg-type, type-var]
    except UserError:
        raise
    except _DAMAGED as fault:
        if not packed or isinstance(fault, FileNotFoundError):
            raise
        raise UserError(f"{path} is damaged ({fault}); download it again.") from None
    except KeyError:
        raise FileNotFoundError(path) from None


def archive_of(path: Path) -> Path | None:
    """The zip archive that a path leads into, or None."""
    for parent in path.parents:
        if parent.suffix == ZIP and parent.is_file():
            return parent
    return None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, or an archive that is read like one."""
    return path.is_dir() or (path.suffix == ZIP and path.is_file())


def files_below(path: Path) -> list[Path]:
    """Every file below a folder or inside an archive, by name; hidden ones are left out.

    Raises UserError for an archive that is damaged.
    """
    if path.is_dir():
        try:
            names = [p.relative_to(path) for p in path.rglob("*") if p.is_file()]
        except OSError as fault:
            raise UserError(
                f"{path}: {fault.filename or 'a folder inside'} cannot be read ({fault.strerror}); "
                "give the folder that holds the data alone."
            ) from None
    else:
        check_regular(path)
        try:
            with open_file(path) as file, zipfile.ZipFile(file) as archive:
                names = [Path(item.filename) for item in archive.infolist() if not item.is_dir()]
        except _DAMAGED as fault:
            raise UserError(f"{path} is damaged ({fault}); download it again.") from None
    shown = [name for name in names if not any(part.startswith((".", "__")) for part in name.parts)]
    return [path / name for name in sorted(shown)]
