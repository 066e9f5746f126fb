"""Settings of training a reward model, and of using one as a reward (torch-free).

The defaults are the paper's where it gives them (section 3.1: batch 256, learning rate 6e-6, one
epoch, 8,192 tokens).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.data.preference_settings import PreferenceSource
from r1.learner.settings import (
    ComputeSettings,
    HeldoutSettings,
    OptimizerSettings,
    check_evaluation,
)
from r1.run_dir import CheckpointSettings
from r1.template import ChatTemplateSettings

Part = Literal["answer", "whole"]


class PreferenceDataSettings(Settings):
    """Preferences to learn from and to measure on."""

    train: tuple[PreferenceSource, ...] = Field(min_length=1)
    heldout: tuple[PreferenceSource, ...] = ()


class RewardLossSettings(Settings):
    """What a pair must be apart by; pairwise only."""

    margin: float = Field(0.0, ge=0.0, description="asked of every pair, in units of the score")
    row_margin_weight: float = Field(0.0, ge=0.0, description="times a row's own margin, added")


class RewardBatchSettings(Settings):
    """What one optimiser step learns from."""

    size: int = Field(256, ge=1, description="pairs, or labelled responses, of a step")
    epochs: int = Field(1, ge=1)
    max_tokens: int = Field(8192, ge=8, description="prompt, response and end token")
    overlong: Literal["refuse", "drop", "cut"] = Field(
        "refuse", description='"cut": the middle of the response is left out'
    )
    max_steps: int | None = Field(None, ge=1, description="stop early; the schedule ends there")


class RewardOptimizerSettings(OptimizerSettings):
    """The paper's learning rate."""

    lr: float = Field(6e-6, gt=0.0, description="AdamW's learning rate")


class RewardLearnerSettings(ComputeSettings):
    """Where and how an update is computed."""

    gradient_checkpointing: bool = False


class RewardModelRecipe(Settings):
    """A reward model (paper, section 3.1).

    objective: "pairwise" (Bradley-Terry, rows {prompt, chosen, rejected}) or "pointwise" (binary
        cross-entropy, rows {prompt, response, label}; a high score means positive: safe).
    part: "answer" scores what follows the thinking, "whole" the response with its thinking; by
        default the paper's: the answer for pairs, the whole for labels.
    evaluation: held-out accuracy is also measured with every checkpoint, which keeps the scores'
        mean and deviation.
    """

    kind: Literal["reward_model"] = "reward_model"
    seed: int = Field(0, ge=0, description="of the head's first values and the order of the rows")
    model: str = Field(description='"tiny" (the shipped base), a model folder, a run, or a hub id')
    objective: Literal["pairwise", "pointwise"]
    part: Part | None = None
    data: PreferenceDataSettings
    template: ChatTemplateSettings = ChatTemplateSettings()
    loss: RewardLossSettings = RewardLossSettings()
    batch: RewardBatchSettings = RewardBatchSettings()
    optimizer: RewardOptimizerSettings = RewardOptimizerSettings()
    learner: RewardLearnerSettings = RewardLearnerSettings()
    evaluation: HeldoutSettings = HeldoutSettings()
    checkpoints: CheckpointSettings = CheckpointSettings(every=50)
    cluster: ClusterSettings | None = Field(None, description="None: this process alone")

    @property
    def scored_part(self) -> Part:
        """The part of a response that is scored."""
        return self.part or ("answer" if self.objective == "pairwise" else "whole")

    @model_validator(mode="after")
    def _consistent(self) -> RewardModelRecipe:
        if self.objective == "pointwise" and self.loss != RewardLossSettings():
            raise ValueError('loss.margin is for pairs; objective = "pointwise" has none')
        check_evaluation(self.evaluation.every, self.data.heldout, "preferences")
        return self


class RewardModelUse(Settings):
    """A reward model as a reward of reinforcement learning.

    normalise: "standard" subtracts the mean of the held-out scores and divides by their standard
        deviation, both kept with the model; "sigmoid" gives the probability of the positive label
        (or of beating a response of score 0); "none" the raw score.
    clip: bound on the absolute value, after normalising; None for none.
    missing: the value of a response without the part to score (no answer after the thinking);
        by default that of the worst held-out response.
    """

    path: str = Field(description="a run of kind reward_model, one of its checkpoints, or a copy")
    weight: float = 1.0
    part: Part | None = Field(None, description="to make sure; must be what the model was made for")
    families: tuple[str, ...] = Field((), description="problems it judges; empty: all of them")
    from_step: int = Field(0, ge=0, description="no part of the reward before so many updates")
    normalise: Literal["standard", "sigmoid", "none"] = "standard"
    clip: float | None = Field(5.0, gt=0.0)
    missing: float | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    tokens_per_microbatch: int = Field(16_384, ge=1, description="tokens of one forward pass")
