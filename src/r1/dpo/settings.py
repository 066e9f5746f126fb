"""Settings of direct preference optimisation (torch-free).

kind = "dpo"
model = "runs/sft"

[[data.train]]
path = "pairs.jsonl"                    # rows {prompt, chosen, rejected}

[loss]
kind = "dpo"
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.learner.settings import (
    HeldoutSettings,
    LearnerSettings,
    OptimizerSettings,
    check_evaluation,
)
from r1.preferences.source import PreferenceSource
from r1.run_dir import CheckpointSettings
from r1.sft.settings import BatchSettings, ResponseSettings
from r1.template import ChatTemplateSettings
from r1.track.settings import TrackSettings

LossKind = Literal["dpo", "ipo", "length_normalised", "simpo"]
BETA: dict[LossKind, float] = {"dpo": 0.1, "ipo": 0.1, "length_normalised": 5.0, "simpo": 2.0}
MARGIN: dict[LossKind, float] = {"simpo": 1.0}


class PairDataSettings(Settings):
    """Pairs to learn from and to measure on."""

    train: tuple[PreferenceSource, ...] = Field(
        min_length=1, description="sources of the pairs to learn from"
    )
    heldout: tuple[PreferenceSource, ...] = Field(
        (), description="sources of the pairs that loss, accuracy and KL are measured on"
    )


class DPOLossSettings(Settings):
    """Which loss of the family, and its numbers. A response's implicit reward is beta times the
    change of its log-probability, in nats."""

    kind: LossKind = Field(
        "dpo",
        description='"dpo": logistic, on sums over a response\'s tokens; "ipo": squared, on means; '
        '"length_normalised": logistic, on means; "simpo": logistic, on means and without a '
        "reference",
    )
    beta: float | None = Field(
        None,
        gt=0.0,
        description="scale of the implicit reward, per nat; by default 0.1 (dpo, ipo), 5 "
        "(length_normalised) or 2 (simpo): a mean needs a scale larger by about the length",
    )
    margin: float | None = Field(
        None,
        ge=0.0,
        description="difference of implicit rewards asked of every pair; by default 1 (simpo) or 0",
    )
    row_margin_weight: float = Field(
        0.0, ge=0.0, description="a row's own margin, times this, is asked in addition"
    )
    label_smoothing: float = Field(
        0.0, ge=0.0, lt=0.5, description="share of pairs thought to be labelled the wrong way round"
    )
    nll_weight: float = Field(
        0.0,
        ge=0.0,
        description="weight of the chosen response's negative log-likelihood a token, which keeps "
        "its probability from sinking",
    )

    @property
    def scale(self) -> float:
        """beta, or its default."""
        return BETA[self.kind] if self.beta is None else self.beta

    @property
    def asked_margin(self) -> float:
        """margin, or its default."""
        return MARGIN.get(self.kind, 0.0) if self.margin is None else self.margin

    @property
    def needs_reference(self) -> bool:
        """Whether the loss compares with the model that training starts from."""
        return self.kind != "simpo"

    @model_validator(mode="after")
    def _of_its_kind(self) -> DPOLossSettings:
        if self.kind == "ipo":
            for name in ("margin", "row_margin_weight", "label_smoothing"):
                if getattr(self, name):
                    raise ValueError(
                        f'{name} belongs to the logistic losses; kind = "ipo" has its own '
                        "target, 1 / (2 beta)"
                    )
        return self


class PairResponseSettings(ResponseSettings):
    """How a response follows what is asked, and what becomes of those too long."""

    overlong: Literal["refuse", "drop", "truncate"] = Field(
        "refuse",
        description="what to do with pairs of which one response, with its prompt, is longer than "
        "batch.max_tokens: refuse the file, drop them, or cut the response's end off",
    )


class PairBatchSettings(BatchSettings):
    """What one optimiser step learns from, and how many steps there are."""

    size: int = Field(64, ge=1, description="pairs of a step, or rows, as `unit` says")
    unit: Literal["examples", "rows"] = Field(
        "examples",
        description='"rows": the pairs of an epoch are packed into rows of max_tokens tokens, and '
        "a step takes whole rows",
    )
    epochs: int = Field(1, ge=1, description="passes over the data")
    max_tokens: int | None = Field(
        None,
        ge=2,
        description="longest prompt with one response, in tokens; by default the model's context",
    )


class DPOOptimizerSettings(OptimizerSettings):
    """AdamW or Muon, with a learning rate far below fine-tuning's."""

    lr: float = Field(5e-7, gt=0.0, description="AdamW's peak learning rate")


class DPORecipe(Settings):
    """Direct preference optimisation of a causal language model (arXiv 2305.18290)."""

    kind: Literal["dpo"] = Field("dpo", description="direct preference optimisation")
    seed: int = Field(0, ge=0, description="decides the order of the pairs")
    model: str = Field(
        description='model to start from, and the reference: "tiny" (the shipped base), a folder, '
        "a run or a Hub id"
    )
    data: PairDataSettings
    template: ChatTemplateSettings = ChatTemplateSettings()
    examples: PairResponseSettings = PairResponseSettings()
    loss: DPOLossSettings = DPOLossSettings()
    batch: PairBatchSettings = PairBatchSettings()
    optimizer: DPOOptimizerSettings = DPOOptimizerSettings()
    learner: LearnerSettings = LearnerSettings()
    evaluation: HeldoutSettings = HeldoutSettings()
    checkpoints: CheckpointSettings = CheckpointSettings(every=50)
    cluster: ClusterSettings | None = None
    track: TrackSettings | None = None

    @property
    def responses_per_row(self) -> int:
        """Responses that a row of the data holds."""
        return 2

    @property
    def needs_reference(self) -> bool:
        """Whether a second policy is kept and computed."""
        return self.loss.needs_reference

    @classmethod
    def hint_for_unknown(cls, key: str) -> str | None:
        """Hint for the section that others name after the method."""
        return "the loss has its section, [loss]." if key == "dpo" else None

    @model_validator(mode="after")
    def _consistent(self) -> DPORecipe:
        self.examples.check_template(self.template)
        check_evaluation(self.evaluation.every, self.data.heldout, "pairs")
        return self
