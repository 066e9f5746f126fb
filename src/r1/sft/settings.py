"""Settings of supervised fine-tuning (torch-free).

    kind = "sft"
    model = "Qwen/Qwen2.5-Math-1.5B"

    [[data.train]]
    path = "mixture.parquet"                # messages, or prompt and response

    [template]
    kind = "chat"                           # the tokenizer's own; "r1_zero" and "plain" for a base

The defaults are the paper's where it gives them (section B.4: cosine from 5e-5 to a tenth, batch
128, two to three epochs).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.data.source_base import FILES, DataSource, required_keys
from r1.data.turns import ROLES
from r1.learner.settings import (
    HeldoutSettings,
    LearnerSettings,
    OptimizerSettings,
    check_evaluation,
)
from r1.run_dir import CheckpointSettings
from r1.template import ChatTemplateSettings
from r1.track.settings import TrackSettings

_FILE = ("kind", "path", "columns", "roles", "limit")
KEYS = {
    **dict.fromkeys((*FILES, "python"), _FILE),
    "huggingface": (*_FILE, "split", "config"),
    "tiny": ("kind", "split", "families", "languages", "levels", "num", "seed"),
}
"""The settings that mean something for each kind of source; any other is refused."""


PAIR = frozenset({"prompt", "response", "system", "input"})
"""The columns of a row that is a prompt and its response."""


class ExampleColumns(Settings):
    """Which column of a file holds what; a column that the recipe names must exist.

    Where it names none, a `messages` column is taken if there is one, else prompt and response.
    """

    id: str = Field("id", description="column with the example's id; without it, rows are numbered")
    messages: str = Field(
        "messages", description="column with a list of turns, the last by the assistant"
    )
    prompt: str = Field(
        "prompt", description="column with a text, or with the turns before the response"
    )
    response: str = Field(
        "response", description="column with a text, or with a list of one assistant turn"
    )
    system: str = Field(
        "system", description="column with a system prompt; only with prompt and response"
    )
    input: str | None = Field(
        None,
        description="column whose text follows the prompt after a blank line, as in Alpaca files; "
        '"" for none',
    )
    role: str = Field("role", description='key of a turn that says who speaks; "from" in ShareGPT')
    content: str = Field("content", description='key of a turn with its text; "value" in ShareGPT')

    @property
    def named(self) -> frozenset[str]:
        """The fields that the recipe gave a column of its own."""
        fields = type(self).model_fields
        return frozenset(f for f in fields if getattr(self, f) != fields[f].get_default())

    @model_validator(mode="after")
    def _one_format(self) -> ExampleColumns:
        if "messages" in self.named and self.named & PAIR:
            raise ValueError(
                "name either messages or prompt and response, not both: a row is one or the other"
            )
        return self


class ExampleSource(DataSource):
    """One file, folder or data set of examples, or worked answers drawn from the tiny world."""

    keys: ClassVar = KEYS
    required: ClassVar = required_keys("examples")

    kind: Literal["jsonl", "json", "csv", "parquet", "huggingface", "python", "tiny"] = Field(
        description="where the examples come from; by default what the path's ending says"
    )
    path: str | None = Field(
        None,
        description="file or folder, relative to the recipe's folder, or a Hub data set's id",
    )
    columns: ExampleColumns = ExampleColumns()
    roles: dict[str, str] = Field(
        {}, description='role of each speaker that the file names otherwise: { human = "user" }'
    )
    limit: int | None = Field(None, ge=1, description="read only so many rows, the first")
    split: str | None = Field(
        None, description='part of a Hub data set; "train" or "heldout" of the tiny world'
    )
    config: str | None = Field(None, description="configuration of a Hugging Face data set")
    families: tuple[str, ...] = Field(
        ("arithmetic", "cups"),
        description="kinds of problems of the tiny world: arithmetic, cups, facts, functions, "
        "dialogue",
    )
    languages: tuple[str, ...] = Field(
        ("en", "zh"), description="languages of the tiny world's examples, in turn"
    )
    levels: tuple[int, ...] = Field(
        (), description="difficulties of the tiny world's examples; by default all"
    )
    num: int = Field(1000, ge=1, description="examples to draw from the tiny world")
    seed: int = Field(0, ge=0, description="decides which examples of the tiny world are drawn")

    @model_validator(mode="after")
    def _consistent(self) -> ExampleSource:
        unknown = sorted(set(self.roles.values()) - set(ROLES))
        if unknown:
            raise ValueError(
                f"roles translates into {unknown[0]!r}; the roles are {', '.join(ROLES)}"
            )
        return self


class SFTDataSettings(Settings):
    """Examples to learn from and to measure on."""

    train: tuple[ExampleSource, ...] = Field(
        min_length=1, description="sources of the examples to learn from"
    )
    heldout: tuple[ExampleSource, ...] = Field(
        (), description="sources of the examples whose loss is measured"
    )


class ResponseSettings(Settings):
    """How a response follows what is asked."""

    response: Literal["template", "verbatim"] = Field(
        "template",
        description='"template": the chat template writes the response; "verbatim": it follows the '
        "prompt as it stands, for templates that take its thinking out",
    )
    join: str | None = Field(
        None,
        description="text between prompt and response; by default a space where the prompt ends in "
        "a colon",
    )

    def check_template(self, template: ChatTemplateSettings) -> None:
        """ValueError for what a chat template that writes the response has no place for."""
        if template.kind != "chat" or self.response != "template":
            return
        for name, given in (
            ("examples.join", self.join is not None),
            ("template.force_think", template.force_think),
        ):
            if given:
                raise ValueError(
                    f"{name} has no place in what a chat template writes; remove it, or set "
                    'examples.response = "verbatim"'
                )


class ExampleSettings(ResponseSettings):
    """Which part of a conversation is learnt, and how a response follows its prompt."""

    turns: Literal["all", "last"] = Field(
        "all", description="learn every turn of the assistant, or only the last"
    )
    overlong: Literal["refuse", "drop", "truncate"] = Field(
        "refuse",
        description="what to do with examples longer than batch.max_tokens: refuse the file, drop "
        "them, or cut their end off",
    )


class BatchSettings(Settings):
    """What one optimiser step learns from, and how many steps there are."""

    size: int = Field(128, ge=1, description="examples of a step, or rows, as `unit` says")
    unit: Literal["examples", "rows"] = Field(
        "examples",
        description='"rows": the examples of an epoch are packed into rows of max_tokens tokens, '
        "and a step takes whole rows",
    )
    epochs: int = Field(2, ge=1, description="passes over the data")
    max_tokens: int | None = Field(
        None,
        ge=2,
        description="longest example, and length of a row, in tokens; by default the model's "
        "context",
    )
    max_steps: int | None = Field(
        None,
        ge=1,
        description="end after so many steps; the learning rate's schedule ends there too",
    )


class SFTOptimizerSettings(OptimizerSettings):
    """AdamW or Muon, with the paper's schedule: cosine from 5e-5 down to a tenth."""

    lr: float = Field(5e-5, gt=0.0, description="AdamW's peak learning rate")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="how the learning rate falls after the warmup"
    )
    final_fraction: float = Field(
        0.1, ge=0.0, le=1.0, description="learning rate at the end, as a share of its peak"
    )


class SFTRecipe(Settings):
    """Supervised fine-tuning of a causal language model (paper, sections 2.3.1, 2.3.3, 2.4)."""

    kind: Literal["sft"] = Field("sft", description="supervised fine-tuning")
    seed: int = Field(0, ge=0, description="decides the order of the examples")
    model: str = Field(
        description='model to start from: "tiny" (the shipped base), a folder, a run or a Hub id'
    )
    data: SFTDataSettings
    template: ChatTemplateSettings = ChatTemplateSettings()
    examples: ExampleSettings = ExampleSettings()
    batch: BatchSettings = BatchSettings()
    optimizer: SFTOptimizerSettings = SFTOptimizerSettings()
    learner: LearnerSettings = LearnerSettings()
    evaluation: HeldoutSettings = HeldoutSettings()
    checkpoints: CheckpointSettings = CheckpointSettings(every=50)
    cluster: ClusterSettings | None = None
    track: TrackSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SFTRecipe:
        self.examples.check_template(self.template)
        check_evaluation(self.evaluation.every, self.data.heldout, "examples")
        return self
