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

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from r1.config import Settings
from r1.data.source_base import DataSource, required_keys

Kind = Literal["tiny", "jsonl", "parquet", "huggingface", "reasoning_gym"]

_ANY = frozenset({"kind", "weight"})
_FILE = frozenset(
    {"path", "columns", "limit", "unusable", "verifier", "language", "family", "reference_after"}
)
_DRAWN = frozenset({"num", "seed"})
KEYS: dict[str, frozenset[str]] = {
    "tiny": _ANY | _DRAWN | {"split", "families", "languages", "levels"},
    "jsonl": _ANY | _FILE,
    "parquet": _ANY | _FILE,
    "huggingface": _ANY | _FILE | {"split", "config"},
    "reasoning_gym": _ANY | _DRAWN | {"task", "parameters", "language", "family"},
}
"""The settings that mean something for each kind; any other is refused."""


class Columns(Settings):
    """Which column of a file holds what; "a.b" reaches into a nested column.

    A column named otherwise than here must exist. Of the others only prompt, and reference where
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

    @property
    def named(self) -> set[str]:
        """The fields that the recipe gave a column of its own: a recipe written out in full, as a
        run's own is, names no more than the one it was read from."""
        fields = type(self).model_fields
        return {name for name in fields if getattr(self, name) != fields[name].get_default()}


class SourceSettings(DataSource):
    """One problem source. kind says where it comes from and which of the other keys apply.

    tiny           the laptop world: split, families, languages, levels, num, seed
    jsonl          path: one JSON object a line
    parquet        path: a file, or a folder of *.parquet files
    huggingface    path: a Hub id or a local folder; split, config
    reasoning_gym  task, its parameters, num, seed
    """

    keys: ClassVar = KEYS
    required: ClassVar = {
        **required_keys("problems"),
        "reasoning_gym": ("task", 'add task, such as task = "chain_sum"'),
    }

    kind: Kind
    path: str | None = Field(None, description="relative to the recipe's folder")
    columns: Columns = Columns()
    verifier: str = Field("math", description="for rows that do not name one")
    language: str = Field("en", description="for rows that do not name one")
    family: str | None = Field(None, description="for rows that do not name one; else the kind's")
    reference_after: str | None = Field(None, description='keep what follows it: "####" for GSM8K')
    limit: int | None = Field(None, ge=1, description="read the first rows only")
    unusable: Literal["refuse", "drop"] = Field(
        "refuse",
        description='"drop": leave out rows that cannot be used (no prompt, a gold answer that its '
        "verifier cannot read, an id again, a prompt longer than the context) and say how many",
    )
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

    @field_validator("reference_after")
    @classmethod
    def _not_empty(cls, value: str | None) -> str | None:
        if value == "":
            raise ValueError("must not be empty; leave it out to keep the whole reference")
        return value

    @property
    def label(self) -> str:
        """A short name of the source for messages."""
        return f"reasoning-gym {self.task}" if self.kind == "reasoning_gym" else super().label


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
