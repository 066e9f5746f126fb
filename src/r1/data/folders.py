"""Which files of a folder, or of a zip archive, are a split: the Hugging Face Hub's layout.

    README.md                            `configs:` in its front matter names splits and files
    data/train-00000-of-00003.parquet    else the name before the shard's number
    test/anatomy_test.csv, dev.jsonl     else a folder or a file that is called by a split's name
    part-1.jsonl, part-2.jsonl           else all files are "train"

Left out on purpose: `data_dir` and other keys of a data set's card, and files of several formats in
one split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from r1.data.places import files_below, open_data
from r1.errors import UserError
from r1.files.regular import MAX_BYTES

FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
"""The kind of a data file by its suffix, before .gz where it ends so."""

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARD = re.compile(r"(?P<split>.+?)[-_.]\d{5}-of-\d{5}")
_NOT_DATA = ("dataset_info.json", "dataset_infos.json", "config.json", "state.json")
_CARD = "README.md"
_MANY = 20


def kind_of(path: Path) -> str | None:
    """The kind of a data file, or None for any other file."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes[-1:] == [".gz"]:
        kind = FORMATS.get(suffixes[0]) if len(suffixes) == 2 else None
        return None if kind == "parquet" else kind
    return FORMATS.get(suffixes[-1]) if suffixes else None


def split_files(folder: Path, split: str | None = None, config: str | None = None) -> list[Path]:
    """The files of a split, in the order of their names; the only split where none is named.

    Raises UserError where there is no data file, no such split or configuration, or several to
    choose from, and names those there are.
    """
    found = files_below(folder)
    files = [path for path in found if kind_of(path) and path.name not in _NOT_DATA]
    if not files:
        names = ", ".join(path.name for path in found[:6]) or "nothing"
        raise UserError(
            f"{folder} holds no data file ({', '.join(FORMATS)}), but {names}; check the path."
        )
    splits = _by_card(folder, found, files, config) or _by_names(folder, _in_data(folder, files))
    chosen = _chosen(folder, splits, split)
    kinds = {kind_of(path) for path in chosen}
    if len(kinds) > 1:
        names = ", ".join(path.name for path in chosen[:6])
        raise UserError(
            f"{folder} holds data files of several formats ({names}); give the path of one of them."
        )
    return chosen


def choose_split(source: object, splits: Mapping[str, object]) -> str:
    """Return the message for a source of several splits of which none was chosen."""
    example = "train" if "train" in splits else next(iter(splits))
    return (
        f'{source} has the splits {", ".join(splits)}; choose one with split = "{example}" in its '
        f"table (r1 data: --set split={example})."
    )


def _chosen(folder: Path, splits: Mapping[str, list[Path]], split: str | None) -> list[Path]:
    names = ", ".join(splits)
    if split is None:
        if len(splits) > 1:
            raise UserError(choose_split(folder, splits))
        return next(iter(splits.values()))
    for name, spellings in NAMES.items():  # "validation" is found where the file says "dev"
        if split == name and split not in splits:
            spelt = [other for other in spellings if other in splits]
            if len(spelt) == 1:
                return splits[spelt[0]]
    if split not in splits:
        raise UserError(f'{folder} has no split "{split}"; it has: {names}.')
    return splits[split]


def _by_names(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Splits by what folders and files are called; files called by none are of no split."""
    splits: dict[str, list[Path]] = {}
    for path in files:
        name = _split_name(path.relative_to(folder))
        if name is not None:
            splits.setdefault(name, []).append(path)
    if not splits:
        return {"train": list(files)}
    left = [path for path in files if not any(path in own for own in splits.values())]
    if left:
        splits["others"] = left
    return splits


def _in_data(folder: Path, files: list[Path]) -> list[Path]:
    """The files of the folder's `data` folder, where it has one: others beside it describe them."""
    inside = [path for path in files if path.relative_to(folder).parts[0] == "data"]
    return inside or files


def _split_name(path: Path) -> str | None:
    """The split that a file belongs to by its name, else by its folder's."""
    shard = _SHARD.match(path.name)
    if shard:
        return shard["split"]
    stem = path.name.partition(".")[0]
    words = [word for word in re.split(r"[^A-Za-z]+", stem.lower()) if word]
    folders = [part.lower() for part in path.parts[:-1]]
    for candidates in (reversed(folders), words):
        for word in candidates:
            if any(word in spellings for spellings in NAMES.values()):
                return word
    return None


def _by_card(
    folder: Path, found: Sequence[Path], files: Sequence[Path], config: str | None
) -> dict[str, list[Path]] | None:
    """Splits by the `configs` of the data set's card; None where it has none."""
    card = next((path for path in found if path == folder / _CARD), None)
    configs = [] if card is None else _configs(card)
    if not configs:
        if config is not None:
            return _by_names(folder, _inside(folder, files, config))
        return None
    names = [str(entry.get("config_name", "default")) for entry in configs]
    if config is None:
        chosen = [entry for entry in configs if entry.get("default") is True] or configs
        if len(chosen) > 1:
            chosen = [e for e, name in zip(configs, names, strict=True) if name == "default"]
        if len(chosen) != 1:
            shown = ", ".join(names[:_MANY])
            raise UserError(
                f"{folder} has the configurations {shown}; choose one with config = ..."
            )
        entry = chosen[0]
    elif config in names:
        entry = configs[names.index(config)]
    else:
        raise UserError(f'{folder} has no config "{config}"; it has: {", ".join(names[:_MANY])}.')
    splits = {
        split: _matching(folder, files, patterns)
        for split, patterns in _patterns(entry.get("data_files")).items()
    }
    empty = [split for split, own in splits.items() if not own]
    if empty:
        raise UserError(
            f"{card}: no file matches data_files of its split {empty[0]}; mend the card."
        )
    return splits or None


def _inside(folder: Path, files: Sequence[Path], config: str) -> list[Path]:
    """The files of a folder that is called as the configuration is."""
    inside = [path for path in files if config in path.relative_to(folder).parts[:-1]]
    if not inside:
        raise UserError(f'{folder} has no folder "{config}" for config; leave config out.')
    return inside


def _configs(card: Path) -> list[dict[str, Any]]:
    """The entries of a card's `configs`. Raises UserError for front matter that is no YAML."""
    import yaml  # type: ignore[import-untyped, unused-ignore]

    with open_data(card) as file:
        text = file.read(MAX_BYTES).decode("utf-8", "replace")
    front = re.match(r"\ufeff?---\s*\n(.*?)\n---", text, re.DOTALL)
    if front is None:
        return []
    try:
        values = yaml.safe_load(front[1])
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise UserError(f"{card}: its front matter is no YAML ({reason}); mend it.") from None
    configs = values.get("configs") if isinstance(values, dict) else None
    return [entry for entry in configs or [] if isinstance(entry, dict) and "data_files" in entry]


def _patterns(value: Any) -> dict[str, list[str]]:
    """The globs of each split, from any form that a card may have."""
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        pairs = [(str(entry.get("split", "train")), entry.get("path")) for entry in value]
    elif isinstance(value, dict):
        pairs = [(str(split), path) for split, path in value.items()]
    else:
        pairs = [("train", value)]
    return {
        split: [str(one) for one in (path if isinstance(path, list) else [path])]
        for split, path in pairs
    }


def _matching(folder: Path, files: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    def matches(name: str, pattern: str) -> bool:
        return fnmatchcase(name, pattern) or fnmatchcase(name, pattern.replace("**/", ""))

    return [
        path
        for path in files
        if any(matches(path.relative_to(folder).as_posix(), pattern) for pattern in patterns)
    ]
