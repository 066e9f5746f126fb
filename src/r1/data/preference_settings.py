"""How a recipe names preference data (torch-free).

    [[data.train]]
    path = "pairs.jsonl"                    # rows {prompt, chosen, rejected}

    [[data.train]]
    kind = "huggingface"
    path = "PKU-Alignment/BeaverTails"      # rows {prompt, response, label}
    split = "330k_train"
    columns = { label = "is_safe" }

Left out on purpose: downloading anything but Hugging Face data sets.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from r1.config import Settings
from r1.data.source_base import DataSource, required_keys

_FILE = ("kind", "path", "columns", "limit", "unusable", "positive", "negative")
KEYS = {
    "jsonl": _FILE,
    "parquet": _FILE,
    "huggingface": (*_FILE, "split", "config"),
    "tiny": ("kind", "split", "languages", "num", "seed"),
}
"""The settings that mean something for each kind of source; any other is refused."""


class PreferenceColumns(Settings):
    """Which column of a file holds what; one that the recipe names must exist."""

    prompt: str = Field("prompt", description="a text, or a chat of one user turn")
    chosen: str = Field("chosen", description="a text, or a chat that ends in the response")
    rejected: str = "rejected"
    margin: str = Field("margin", description="by how much chosen is better; may be absent")
    response: str = "response"
    label: str = Field("label", description="true, 1 or a name of `positive` where it is safe")
    language: str = Field("language", description="accuracy is also given by language")
    family: str = Field("family", description="accuracy is also given by family")


class PreferenceSource(DataSource):
    """One file, folder or data set of preferences, or some drawn from the tiny world.

    unusable: what becomes of rows that teach nothing (equal responses, empty ones, repetitions):
        "refuse" the file with the rows' numbers, or "drop" them and say how many. A row that is no
        preference at all (a missing or wrong value) is always refused.
    """

    keys: ClassVar = KEYS
    required: ClassVar = required_keys("pairs")

    kind: Literal["jsonl", "parquet", "huggingface", "tiny"]
    path: str | None = Field(None, description="relative to the recipe's folder, or a Hub id")
    columns: PreferenceColumns = PreferenceColumns()
    limit: int | None = Field(None, ge=1, description="read the first rows only")
    unusable: Literal["refuse", "drop"] = "refuse"
    positive: tuple[str, ...] = Field(("safe",), description="labels, as texts, that mean 1")
    negative: tuple[str, ...] = Field(("unsafe",), description="labels, as texts, that mean 0")
    split: str | None = None
    config: str | None = Field(None, description="configuration of a Hugging Face data set")
    languages: tuple[str, ...] = ("en", "zh")
    num: int = Field(1000, ge=1, description="rows to draw from the tiny world")
    seed: int = Field(0, ge=0, description="of that draw")

    @model_validator(mode="after")
    def _consistent(self) -> PreferenceSource:
        both = sorted(set(self.positive) & set(self.negative))
        if both:
            raise ValueError(f"the label {both[0]!r} is in positive and in negative; remove one")
        return self
