"""How a recipe names its problems (torch-free).

    [[data.train]]
    path = "train.jsonl"                    # kind follows from the suffix
    columns = { prompt = "problem", reference = "answer" }

    [[data.heldout]]
    kind = "huggingface"
    path = "openai/gsm8k"
    config = "main"
    split = "test"
    columns = { prompt = "question", reference = "answer" }
    reference_after = "####"

Left out on purpose: downloading anything but Hugging Face data sets, and writing data.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from r1.config import Settings

Kind = Literal["tiny", "jsonl", "parquet", "huggingface", "reasoning_gym"]
SUFFIXES: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

_ANY = frozenset({"kind", "weight"})
_FILE = frozenset({"path", "columns", "limit", "verifier", "language", "family", "reference_after"})
_DRAWN = frozenset({"num", "seed"})
KEYS: dict[str, frozenset[str]] = {
    "tiny": _ANY | _DRAWN | {"split", "families", "languages", "levels"},
    "jsonl": _ANY | _FILE,
    "parquet": _ANY | _FILE,
    "huggingface": _ANY | _FILE | {"split", "config"},
    "reasoning_gym": _ANY | _DRAWN | {"task", "parameters", "language", "family"},
}
"""The settings that mean something for each kind; any other is refused."""

REQUIRED: dict[str, tuple[str, str]] = {
    "tiny": ("split", 'add split = "train" or split = "heldout"'),
    "jsonl": ("path", 'add path = "problems.jsonl"'),
    "parquet": ("path", 'add path = "problems.parquet"'),
    "huggingface": ("path", "add path, the data set's id on the Hub or a local folder"),
    "reasoning_gym": ("task", 'add task, such as task = "chain_sum"'),
}


class Columns(Settings):
    """Which column of a file holds what; "a.b" reaches into a nested column.

    A column named here must exist. Of those left at their default only prompt, and reference where
    the verifier needs one, must.
    """

    id: str = "id"
    prompt: str = "prompt"
    reference: str = "reference"
    verifier: str = "verifier"
    language: str = "language"
    family: str = "family"
    metadata: str = "metadata"
    options: str = Field("options", description="the choices of a multiple-choice question")


class SourceSettings(Settings):
    """One problem source. kind says where it comes from and which of the other keys apply.

    tiny           the laptop world: split, families, languages, levels, num, seed
    jsonl          path: one JSON object a line
    parquet        path: a file, or a folder of *.parquet files
    huggingface    path: a Hub id or a local folder; split, config
    reasoning_gym  task, its parameters, num, seed
    """

    kind: Kind
    path: str | None = Field(None, description="relative to the recipe's folder")
    columns: Columns = Columns()
    verifier: str = Field("math", description="for rows that do not name one")
    language: str = Field("en", description="for rows that do not name one")
    family: str | None = Field(None, description="for rows that do not name one; else the kind's")
    reference_after: str | None = Field(None, description='keep what follows it: "####" for GSM8K')
    limit: int | None = Field(None, ge=1, description="read the first rows only")
    split: str | None = None
    config: str | None = Field(None, description="configuration of a Hugging Face data set")
    task: str | None = None
    parameters: dict[str, Any] = Field({}, description="of the reasoning-gym task")
    families: tuple[str, ...] = ("arithmetic", "cups")
    languages: tuple[str, ...] = ("en", "zh")
    levels: tuple[int, ...] = ()
    num: int = Field(1000, ge=1, description="problems to draw")
    seed: int = Field(0, ge=0, description="of the draw; the order of training has the run's seed")
    weight: float | None = Field(None, gt=0.0, description="share of each step in a mixture")

    @model_validator(mode="before")
    @classmethod
    def _infer_kind(cls, values: Any) -> Any:
        if isinstance(values, dict) and "kind" not in values:
            return {**values, "kind": _inferred_kind(values)}
        return values

    @field_validator("reference_after")
    @classmethod
    def _not_empty(cls, value: str | None) -> str | None:
        if value == "":
            raise ValueError("must not be empty; leave it out to keep the whole reference")
        return value

    @model_validator(mode="after")
    def _only_its_own_keys(self) -> SourceSettings:
        allowed = KEYS[self.kind]
        for key in sorted(self.model_fields_set - allowed):
            if getattr(self, key) == type(self).model_fields[key].get_default():
                continue  # a recipe written out in full, as a run's own is
            owners = [kind for kind in KEYS if key in KEYS[kind]]
            raise ValueError(
                f'"{key}" means nothing for kind = "{self.kind}" (it belongs to '
                f"{', '.join(owners)}); valid here: {', '.join(sorted(allowed))}"
            )
        key, remedy = REQUIRED[self.kind]
        if not getattr(self, key):
            raise ValueError(f'kind = "{self.kind}" needs "{key}": {remedy}')
        if self.kind == "tiny" and self.split not in ("train", "heldout"):
            raise ValueError(f'split of the tiny world is "train" or "heldout", not "{self.split}"')
        return self

    @property
    def label(self) -> str:
        """A short name of the source for messages."""
        if self.kind == "tiny":
            return f"tiny world ({self.split})"
        return self.path or f"reasoning-gym {self.task}"


class DataSettings(Settings):
    """Training and held-out problems. The order of training follows from the run's seed.

    ngram and common_share: see r1.data.decontaminate.
    """

    train: tuple[SourceSettings, ...] = Field(min_length=1)
    heldout: tuple[SourceSettings, ...] = ()
    decontaminate: bool = Field(True, description="drop training problems that overlap held-out")
    ngram: int = Field(10, ge=2, description="words (Chinese: characters) in common that count")
    common_share: float = Field(
        0.05, gt=0.0, le=1.0, description="wording in more held-out prompts than this is template"
    )

    @model_validator(mode="after")
    def _all_weights_or_none(self) -> DataSettings:
        given = [source.weight is not None for source in self.train]
        if any(given) and not all(given):
            missing = given.index(False)
            raise ValueError(
                f"data.train: source {missing + 1} ({self.train[missing].label}) has no weight but "
                "others do; give every source a weight, or none (one shuffled pool of all)"
            )
        if any(source.weight is not None for source in self.heldout):
            raise ValueError("data.heldout: weight is for training; every held-out problem counts")
        return self


def _inferred_kind(values: dict[str, Any]) -> str:
    """The kind that the other keys give away; ValueError where they do not."""
    path = values.get("path")
    if isinstance(path, str) and path:
        suffix = PurePath(path).suffix.lower()
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
        if suffix in (".json", ".csv", ".tsv", ".txt", ".gz", ".zst"):
            raise ValueError(
                f"{path}: {suffix} files are not read; write one JSON object a line (.jsonl), "
                "or Parquet"
            )
        return "huggingface"
    if "task" in values:
        return "reasoning_gym"
    if "families" in values or values.get("split") in ("train", "heldout"):
        return "tiny"
    raise ValueError(f"add kind, one of {', '.join(get_args(Kind))}, or a path to a data file")
