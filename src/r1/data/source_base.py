"""What sources of problems, of preferences and of examples have in common (torch-free).

A source is a file, a folder, a Hugging Face data set, a function, or drawn by a program. Its kind
decides which of the other settings mean something, and follows from them where a recipe leaves it
out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

from pydantic import model_validator

from r1.config import Settings
from r1.plugins import is_function

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".zip": "huggingface",
}
"""The kind of a source by its path's suffix, before .gz where it ends so."""

FILES = ("jsonl", "json", "csv", "parquet")
"""The kinds whose path is a file."""

NOT_READ = (".txt", ".zst", ".xz", ".bz2", ".7z", ".tar", ".tgz", ".arrow", ".xlsx", ".xls", ".pkl")


class DataSource(Settings):
    """Base of the settings of one source.

    keys: the settings that mean something for each kind; any other is refused. required: the one
    that each kind cannot do without, and the remedy where it is missing (see `required_keys`).
    """

    keys: ClassVar[Mapping[str, Collection[str]]]
    required: ClassVar[Mapping[str, tuple[str, str]]]

    # Declared by each class: a field of the base would move to the front of every written recipe.
    if TYPE_CHECKING:
        kind: str
        path: str | None
        split: str | None
        config: str | None
        limit: int | None

    @model_validator(mode="before")
    @classmethod
    def _infer_kind(cls, values: Any) -> Any:
        if isinstance(values, dict) and "kind" not in values:
            return {**values, "kind": cls._inferred_kind(values)}
        return values

    @classmethod
    def _inferred_kind(cls, values: dict[str, Any]) -> str:
        """The kind that the other keys give away; ValueError where they do not."""
        path = values.get("path")
        if isinstance(path, str) and path:
            if is_function(path):
                return "python"
            if "://" in path:
                raise ValueError(f"{path}: nothing is downloaded by URL; save it and give the file")
            suffix = PurePath(path.removesuffix(".gz")).suffix.lower()
            if suffix in NOT_READ or (path.endswith(".gz") and suffix in ("", ".parquet")):
                raise ValueError(
                    f"{path}: files of this kind are not read; write JSON lines (.jsonl), JSON, "
                    "CSV or Parquet"
                )
            if suffix == ".py":
                raise ValueError(f'{path}: name its function too: "{path}:problems"')
            return SUFFIXES.get(suffix, "huggingface")
        if "task" in values and "reasoning_gym" in cls.keys:
            return "reasoning_gym"
        if "families" in values or values.get("split") in ("train", "heldout"):
            return "tiny"
        if not values.keys() <= cls.model_fields.keys():
            return "jsonl"  # any kind will do: the misspelt key is refused, with the likely one
        kinds = get_args(cls.model_fields["kind"].annotation)
        raise ValueError(f"add kind, one of {', '.join(kinds)}, or a path to a data file")

    @model_validator(mode="after")
    def _only_its_own_keys(self) -> Self:
        allowed = self.keys[self.kind]
        for key in sorted(self.model_fields_set.difference(allowed)):
            if getattr(self, key) == type(self).model_fields[key].get_default():
                continue  # a recipe written out in full, as a run's own is
            owners = [kind for kind in self.keys if key in self.keys[kind]]
            raise ValueError(
                f'"{key}" means nothing for kind = "{self.kind}" (it belongs to '
                f"{', '.join(owners)}); valid here: {', '.join(sorted(allowed))}"
            )
        if self.kind == "python" and self.path and not is_function(self.path):
            raise ValueError(f'path = "{self.path}" names no function; write "my_file.py:name"')
        key, remedy = self.required[self.kind]
        if not getattr(self, key):
            raise ValueError(f'kind = "{self.kind}" needs "{key}": {remedy}')
        if self.kind == "tiny" and self.split not in ("train", "heldout"):
            raise ValueError(f'split of the tiny world is "train" or "heldout", not "{self.split}"')
        return self

    @property
    def label(self) -> str:
        """A short name of the source for messages."""
        return f"tiny world ({self.split})" if self.kind == "tiny" else str(self.path)


def required_keys(stem: str) -> dict[str, tuple[str, str]]:
    """What sources of these kinds need, and the remedy; `stem` names an example file."""
    return {
        "tiny": ("split", 'add split = "train" or split = "heldout"'),
        "jsonl": ("path", f'add path = "{stem}.jsonl"'),
        "json": ("path", f'add path = "{stem}.json"'),
        "csv": ("path", f'add path = "{stem}.csv"'),
        "python": ("path", f'add path = "my_file.py:{stem}"'),
        "parquet": ("path", f'add path = "{stem}.parquet"'),
        "huggingface": ("path", "add path, the data set's id on the Hub or a local folder"),
    }
