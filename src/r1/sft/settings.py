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
from r1.data.source_base import DataSource, required_keys
from r1.learner.settings import (
    HeldoutSettings,
    LearnerSettings,
    OptimizerSettings,
    check_evaluation,
)
from r1.run_dir import CheckpointSettings
from r1.template import ChatTemplateSettings

ROLES = ("system", "developer", "user", "assistant", "tool")

_FILE = ("kind", "path", "columns", "roles", "limit")
KEYS = {
    "jsonl": _FILE,
    "parquet": _FILE,
    "huggingface": (*_FILE, "split", "config"),
    "tiny": ("kind", "split", "families", "languages", "levels", "num", "seed"),
}
"""The settings that mean something for each kind of source; any other is refused."""


PAIR = frozenset({"prompt", "response", "system", "input"})
"""The columns of a row that is a prompt and its response."""


class ExampleColumns(Settings):
    """Which column of a file holds what; a column named here must exist.

    Without any named, a `messages` column is taken where there is one, else prompt and response.
    """

    id: str = "id"
    messages: str = Field("messages", description="a list of turns, the last by the assistant")
    prompt: str = Field("prompt", description="a text, or the turns before the response")
    response: str = Field("response", description="a text, or a list of one assistant turn")
    system: str = Field("system", description="a system prompt; only with prompt and response")
    input: str | None = Field(
        None, description='follows the prompt after a blank line, as in Alpaca files; "" for none'
    )
    role: str = Field("role", description='key of a turn; "from" in ShareGPT files')
    content: str = Field("content", description='key of a turn; "value" in ShareGPT files')

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

    kind: Literal["jsonl", "parquet", "huggingface", "tiny"]
    path: str | None = Field(None, description="relative to the recipe's folder, or a Hub id")
    columns: ExampleColumns = ExampleColumns()
    roles: dict[str, str] = Field({}, description='names to translate: { human = "user" }')
    limit: int | None = Field(None, ge=1, description="read the first rows only")
    split: str | None = None
    config: str | None = Field(None, description="configuration of a Hugging Face data set")
    families: tuple[str, ...] = ("arithmetic", "cups")
    languages: tuple[str, ...] = ("en", "zh")
    levels: tuple[int, ...] = ()
    num: int = Field(1000, ge=1, description="examples to draw from the tiny world")
    seed: int = Field(0, ge=0, description="of that draw")

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

    train: tuple[ExampleSource, ...] = Field(min_length=1)
    heldout: tuple[ExampleSource, ...] = ()


class ExampleSettings(Settings):
    """What of a conversation is learnt, and how a response follows its prompt."""

    turns: Literal["all", "last"] = Field("all", description="assistant turns that are learnt")
    response: Literal["template", "verbatim"] = Field(
        "template",
        description='"verbatim": after the prompt the last response as it stands, and the end '
        "token; for chat templates that take the thinking out of a response",
    )
    join: str | None = Field(
        None, description="between prompt and response; by default a space after a colon"
    )
    overlong: Literal["refuse", "drop", "truncate"] = Field(
        "refuse", description="what becomes of examples above batch.max_tokens"
    )


class BatchSettings(Settings):
    """What one optimiser step learns from."""

    size: int = Field(128, ge=1, description="examples, or rows, of a step")
    unit: Literal["examples", "rows"] = Field(
        "examples",
        description='"rows": an epoch is packed into rows of max_tokens, which are dealt out',
    )
    epochs: int = Field(2, ge=1)
    max_tokens: int | None = Field(
        None, ge=2, description="longest example and width of a row; by default the context"
    )
    max_steps: int | None = Field(None, ge=1, description="stop early; the schedule ends there")


class SFTOptimizerSettings(OptimizerSettings):
    """The paper's schedule: cosine down to a tenth."""

    lr: float = Field(5e-5, gt=0.0, description="AdamW's learning rate")
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    final_fraction: float = Field(0.1, ge=0.0, le=1.0, description="end of the schedule / lr")


class SFTRecipe(Settings):
    """Supervised fine-tuning of a causal language model (paper, sections 2.3.1, 2.3.3, 2.4)."""

    kind: Literal["sft"] = "sft"
    seed: int = Field(0, ge=0, description="of the order of the examples")
    model: str = Field(description='"tiny" (the shipped base), a model folder, a run, or a hub id')
    data: SFTDataSettings
    template: ChatTemplateSettings = ChatTemplateSettings()
    examples: ExampleSettings = ExampleSettings()
    batch: BatchSettings = BatchSettings()
    optimizer: SFTOptimizerSettings = SFTOptimizerSettings()
    learner: LearnerSettings = LearnerSettings()
    evaluation: HeldoutSettings = HeldoutSettings()
    checkpoints: CheckpointSettings = CheckpointSettings(every=50)
    cluster: ClusterSettings | None = Field(None, description="None: this process alone")

    @model_validator(mode="after")
    def _consistent(self) -> SFTRecipe:
        if self.template.kind == "chat" and self.examples.response == "template":
            for name, given in (
                ("examples.join", self.examples.join is not None),
                ("template.force_think", self.template.force_think),
            ):
                if given:
                    raise ValueError(
                        f"{name} has no place in what a chat template writes; remove it, or set "
                        'examples.response = "verbatim"'
                    )
        check_evaluation(self.evaluation.every, self.data.heldout, "examples")
        return self
