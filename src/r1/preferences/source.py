"""How a recipe names preference data (torch-free).

    [[data.train]]
    path = "pairs.jsonl"                    # rows {prompt, chosen, rejected}

    [[data.train]]
    path = "steps.jsonl"                    # rows {prompt, steps, labels}, or as PRM800K,
                                            # Math-Shepherd or OmegaPRM lay them out

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
from r1.data.source_base import FILES, DataSource, required_keys

_FILE = ("kind", "path", "columns", "roles", "limit", "unusable", "positive", "negative")
KEYS = {
    **dict.fromkeys((*FILES, "python"), _FILE),
    "huggingface": (*_FILE, "split", "config"),
    "tiny": ("kind", "split", "languages", "num", "seed"),
}
"""The settings that mean something for each kind of source; any other is refused."""


class PreferenceColumns(Settings):
    """Which column of a file holds what; one that the recipe names must exist."""

    prompt: str = Field(
        "prompt", description="column with a text, or with the turns that the responses answer"
    )
    chosen: str = Field(
        "chosen", description="column with the better response: a text, or a chat that ends in it"
    )
    rejected: str = Field("rejected", description="column with the worse response, likewise")
    margin: str = Field(
        "margin", description="column that says by how much the better one is better; may be absent"
    )
    response: str = Field("response", description="column with a labelled response, likewise")
    label: str = Field(
        "label",
        description="column that is true, 1 or one of `positive` where the response is safe",
    )
    steps: str = Field("steps", description="column with a response's steps, a list of texts")
    labels: str = Field(
        "labels",
        description="column with a label for each step: 1 right, 0 wrong, or between; null: none",
    )
    system: str = Field("system", description="column with a system prompt; may be absent")
    language: str = Field(
        "language", description="column with the language, for accuracy by language"
    )
    family: str = Field(
        "family", description="column with the kind of prompt, for accuracy by family"
    )
    role: str = Field("role", description='key of a turn that says who speaks; "from" in ShareGPT')
    content: str = Field("content", description='key of a turn with its text; "value" in ShareGPT')


class PreferenceSource(DataSource):
    """One file, folder or data set of preferences, or some drawn from the tiny world."""

    keys: ClassVar = KEYS
    required: ClassVar = required_keys("pairs")

    kind: Literal["jsonl", "json", "csv", "parquet", "huggingface", "python", "tiny"] = Field(
        description="where the preferences come from; by default what the path's ending says"
    )
    path: str | None = Field(
        None,
        description="file or folder, relative to the recipe's folder, or a Hub data set's id",
    )
    columns: PreferenceColumns = PreferenceColumns()
    roles: dict[str, str] = Field(
        {}, description='role of each speaker that the file names otherwise: { human = "user" }'
    )
    limit: int | None = Field(None, ge=1, description="read only so many rows, the first")
    unusable: Literal["refuse", "drop"] = Field(
        "refuse",
        description="what to do with rows that teach nothing (equal or empty responses, "
        "repetitions): refuse the file, or drop them and say how many. A row with a missing or "
        "wrong value is always refused",
    )
    positive: tuple[str, ...] = Field(("safe",), description="labels, as texts, that mean safe")
    negative: tuple[str, ...] = Field(("unsafe",), description="labels, as texts, that mean unsafe")
    split: str | None = Field(
        None, description='part of a Hub data set; "train" or "heldout" of the tiny world'
    )
    config: str | None = Field(None, description="configuration of a Hugging Face data set")
    languages: tuple[str, ...] = Field(
        ("en", "zh"), description="languages of the tiny world's rows, in turn"
    )
    num: int = Field(1000, ge=1, description="rows to draw from the tiny world")
    seed: int = Field(0, ge=0, description="decides which rows of the tiny world are drawn")

    @model_validator(mode="after")
    def _consistent(self) -> PreferenceSource:
        both = sorted(set(self.positive) & set(self.negative))
        if both:
            raise ValueError(f"the label {both[0]!r} is in positive and in negative; remove one")
        return self
