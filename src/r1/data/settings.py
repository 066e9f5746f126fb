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
from r1.data.column_text import check_template
from r1.data.source_base import FILES, DataSource, required_keys

Kind = Literal["tiny", "jsonl", "json", "csv", "parquet", "huggingface", "python", "reasoning_gym"]

_ANY = frozenset({"kind", "weight"})
_FILE = frozenset(
    {"path", "columns", "limit", "unusable", "verifier", "language", "family", "reference_after"}
)
_DRAWN = frozenset({"num", "seed"})
KEYS: dict[str, frozenset[str]] = {
    "tiny": _ANY | _DRAWN | {"split", "families", "languages", "levels"},
    **dict.fromkeys(FILES, _ANY | _FILE),
    "huggingface": _ANY | _FILE | {"split", "config"},
    "python": _ANY | _FILE | {"parameters"},
    "reasoning_gym": _ANY | _DRAWN | {"task", "parameters", "language", "family"},
}
"""The settings that mean something for each kind; any other is refused."""


class Columns(Settings):
    """Which column of a file holds what: "a", "a.b" (column b inside column a), or a text made of
    columns, such as "{a}\n{b}".

    A column named otherwise than here must exist. Of the others only prompt, and reference where
    the verifier needs one, must.
    """

    id: str = Field(
        "id", description="column with the problem's id; without it, a hash of its text is the id"
    )
    prompt: str = Field(
        "prompt",
        description="column with the question: a text, or the turns of a dialogue that a user's "
        'ends; "{a}\\n{b}" puts columns together',
    )
    reference: str = Field("reference", description="column with the gold answer")
    verifier: str = Field("verifier", description="column that says how the answer is judged")
    language: str = Field("language", description='column with the language\'s code, such as "en"')
    family: str = Field(
        "family", description="column with the kind of problem, for tables by family"
    )
    metadata: str = Field("metadata", description="column with what else the verifier needs")
    options: str = Field(
        "options", description="column with the choices of a multiple-choice question"
    )

    @field_validator("*")
    @classmethod
    def _closed_braces(cls, value: str) -> str:
        check_template(value)
        return value

    @property
    def named(self) -> set[str]:
        """The fields that the recipe gave a column of its own: a recipe written out in full, as a
        run's own is, names no more than the one it was read from."""
        fields = type(self).model_fields
        return {name for name in fields if getattr(self, name) != fields[name].get_default()}


GENERATORS = ("tiny", "reasoning_gym")
"""The kinds of sources that draw problems, `num` of them, and read no file."""


class SourceSettings(DataSource):
    """A file, folder, data set or generator of problems; its kind decides which settings apply.

    tiny           the laptop world: split, families, languages, levels, num, seed
    jsonl          path: one JSON object a line
    json           path: an array of objects, or an object that holds one
    csv            path: comma-separated values, or tabs (.tsv)
    parquet        path: a file, or a folder of *.parquet files
    huggingface    path: a Hub id, a local folder or a .zip; split, config
    python         path: a function of a file, "my_file.py:problems"; its parameters
    reasoning_gym  task, its parameters, num, seed
    """

    keys: ClassVar = KEYS
    required: ClassVar = {
        **required_keys("problems"),
        "reasoning_gym": ("task", 'add task, such as task = "chain_sum"'),
    }

    kind: Kind = Field(
        description="where the problems come from; by default what the path's ending says"
    )
    path: str | None = Field(
        None,
        description="file or folder, relative to the recipe's folder, a Hub data set's id, or a "
        'function: "my_file.py:problems"',
    )
    columns: Columns = Columns()
    verifier: str = Field(
        "math", description="how answers are judged, for rows that name no verifier"
    )
    language: str = Field("en", description="language's code, for rows that name none")
    family: str | None = Field(
        None, description="kind of problem, for rows that name none; by default the source's kind"
    )
    reference_after: str | None = Field(
        None, description='keep only what follows this text in the gold answer: "####" for GSM8K'
    )
    limit: int | None = Field(None, ge=1, description="read only so many rows, the first")
    unusable: Literal["refuse", "drop"] = Field(
        "refuse",
        description="what to do with rows that cannot be used (no prompt, a gold answer that its "
        "verifier cannot read, an id again, a prompt longer than the context): refuse the file, or "
        "drop them and say how many",
    )
    split: str | None = Field(
        None, description='part of a Hub data set; "train" or "heldout" of the tiny world'
    )
    config: str | None = Field(None, description="configuration of a Hugging Face data set")
    task: str | None = Field(None, description='name of a reasoning-gym task, such as "chain_sum"')
    parameters: dict[str, Any] = Field(
        {}, description="parameters of the reasoning-gym task, or of the function"
    )
    families: tuple[str, ...] = Field(
        ("arithmetic", "cups"),
        description="kinds of problems of the tiny world: arithmetic, cups, facts, functions, "
        "dialogue",
    )
    languages: tuple[str, ...] = Field(
        ("en", "zh"), description="languages of the tiny world's problems, in turn"
    )
    levels: tuple[int, ...] = Field(
        (), description="difficulties of the tiny world's problems; by default all"
    )
    num: int = Field(1000, ge=1, description="problems to draw from a generator")
    seed: int = Field(
        0, ge=0, description="decides which problems are drawn; their order follows the run's seed"
    )
    weight: float | None = Field(
        None,
        gt=0.0,
        description="share of each step's problems, relative to the other sources; by default all "
        "sources are one shuffled pool",
    )

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
    """Training and held-out problems. The order of training follows from the run's seed."""

    train: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems to learn from"
    )
    heldout: tuple[SourceSettings, ...] = Field(
        (), description="sources of the problems that evaluation measures on"
    )
    decontaminate: bool = Field(
        True, description="leave out training problems that overlap held-out ones"
    )
    ngram: int = Field(
        10,
        ge=2,
        description="so many words in a row (in Chinese, characters) in common are an overlap",
    )
    common_share: float = Field(
        0.05,
        gt=0.0,
        le=1.0,
        description="wording in a larger share of held-out prompts is their template and no "
        "overlap; 1 is the literal n-gram rule",
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
