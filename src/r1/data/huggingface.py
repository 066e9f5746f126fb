"""The rows of a Hugging Face data set: a Hub id, or what `save_to_disk` wrote.

The datasets library does the reading, downloading and caching; it is imported only here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.data.folders import choose_split
from r1.data.rows import Rows, find_data
from r1.data.source_base import DataSource
from r1.errors import UserError, install_extra
from r1.models.hub import hub_is_reachable

ROWS_AT_ONCE = 1000


def open_split(source: DataSource, base_folder: Path) -> tuple[str, Any]:
    """The split that source.path, config and split name, and what to call it in messages.

    Raises UserError where the library is not installed, the data set is neither a folder nor to
    be had from the Hub or its cache, the split does not exist (naming those that do), or it has no
    rows.
    """
    splits = _open(source, base_folder)
    name, split = _choose(splits, source)
    origin = f"{source.path} ({name})"
    if len(split) == 0:
        raise UserError(f"{origin} has no rows; choose another split or data set.")
    return origin, split


def read_rows(split: Any) -> Rows:
    """Yield (row number, columns) of a split, numbered from 1."""
    number = 0
    for batch in split.iter(batch_size=ROWS_AT_ONCE):
        for values in zip(*batch.values(), strict=True):
            number += 1
            yield number, dict(zip(batch, values, strict=True))


def _open(source: DataSource, base_folder: Path) -> dict[str, Any]:
    """Every split by its name."""
    assert source.path is not None
    folder = find_data(source.path, base_folder)
    if not folder.is_dir() and (folder.exists() or _looks_local(source.path)):
        what = "is no folder and no data file" if folder.exists() else "does not exist"
        raise UserError(
            f"data set folder {folder} {what}; check the `path` of this source in the recipe."
        )
    if not folder.is_dir():
        hub_is_reachable()  # before datasets, which reads once whether to look in its cache alone
    try:
        import datasets
    except ImportError:
        raise UserError(
            f'kind = "huggingface" needs the datasets library: {install_extra("datasets")}.'
        ) from None
    try:
        if is_saved(folder):
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(source.path, source.config)
    except ConnectionError as error:
        raise UserError(_unreachable(source.path, folder, error)) from None
    except datasets.exceptions.DatasetGenerationError as error:  # says nothing; its cause does
        reason = _first_sentence(error.__cause__ or error)
        raise UserError(
            f"{source.path}: a data file cannot be read ({reason[:300]}) Mend it, or leave it out."
        ) from None
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise UserError(f"{source.path}: {_reason(error)} Check path and config.") from None
    if isinstance(found, datasets.Dataset):
        return {str(found.split or "train"): found}
    return dict(found)


def _choose(splits: dict[str, Any], source: DataSource) -> tuple[str, Any]:
    names = ", ".join(splits)
    if source.split in splits:
        return source.split, splits[source.split]
    if source.split is not None:
        raise UserError(f'{source.path} has no split "{source.split}"; it has: {names}.')
    if len(splits) > 1:
        raise UserError(choose_split(source.path, splits))
    return next(iter(splits.items()))


def is_saved(folder: Path) -> bool:
    """Written by save_to_disk."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def _looks_local(path: str) -> bool:
    """A Hub id is "name" or "owner/name"; anything else can only be meant as a folder."""
    return path.startswith((".", "/", "~")) or path.count("/") > 1 or "\\" in path


def _unreachable(path: str, folder: Path, error: ConnectionError) -> str:
    return (
        f'data set "{path}" is not in the cache and the Hugging Face Hub cannot be reached '
        f"({_first_sentence(error)}) Either connect, or download it elsewhere and give its "
        f"folder as path. (No folder {folder} exists.)"
    )


def _reason(error: Exception) -> str:
    """The library's words, and those of what it fell over: a row of a CSV file, say."""
    words, cause = _first_sentence(error), error.__cause__
    while cause is not None and cause.__cause__ is not None:
        cause = cause.__cause__
    return words if cause is None else f"{words} ({_first_sentence(cause)})"


def _first_sentence(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(". ") + "."
