"""Settings of training a reward model, and of using one as a reward (torch-free).

The defaults are the paper's where it gives them (section 3.1: batch 256, learning rate 6e-6, one
epoch, 8,192 tokens).
"""

from __future__ import annotations

from typing import ClassVar, Literal

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
from r1.preferences.types import Form
from r1.run_dir import CheckpointSettings
from r1.steps.aggregate import Rule
from r1.steps.split import LINE
from r1.template import ChatTemplateSettings
from r1.track.settings import TrackSettings

Part = Literal["answer", "whole"]


class PreferenceDataSettings(Settings):
    """Preferences to learn from and to measure on."""

    train: tuple[PreferenceSource, ...] = Field(
        min_length=1, description="sources of the preferences to learn from"
    )
    heldout: tuple[PreferenceSource, ...] = Field(
        (), description="sources of the preferences that accuracy is measured on"
    )


class RewardLossSettings(Settings):
    """By how much the scores of a pair should differ; for objective = "pairwise" only."""

    margin: float = Field(
        0.0, ge=0.0, description="difference asked of every pair, in units of the score"
    )
    row_margin_weight: float = Field(
        0.0, ge=0.0, description="a row's own margin, times this, is asked in addition"
    )


class RewardBatchSettings(Settings):
    """What one optimiser step learns from, and how many steps there are."""

    size: int = Field(256, ge=1, description="pairs, or labelled responses, of a step")
    epochs: int = Field(1, ge=1, description="passes over the data")
    max_tokens: int = Field(
        8192, ge=8, description="longest prompt, response and end token together, in tokens"
    )
    overlong: Literal["refuse", "drop", "cut"] = Field(
        "refuse",
        description="what to do with longer rows: refuse the file, drop them, or cut the middle of "
        "the response out",
    )
    max_steps: int | None = Field(
        None,
        ge=1,
        description="end after so many steps; the learning rate's schedule ends there too",
    )


class RewardOptimizerSettings(OptimizerSettings):
    """AdamW or Muon, with the paper's learning rate."""

    lr: float = Field(6e-6, gt=0.0, description="AdamW's peak learning rate")


class RewardModelRecipe(Settings):
    """A reward model (paper, section 3.1).

    Held-out accuracy is also measured with every checkpoint, which keeps the mean and the standard
    deviation of the held-out scores.
    """

    only_with: ClassVar = {"separator": ("objective", ("steps",))}

    kind: Literal["reward_model"] = Field("reward_model", description="a reward model's training")
    seed: int = Field(
        0, ge=0, description="decides the first values of the head and the order of the rows"
    )
    model: str = Field(
        description='model to start from: "tiny" (the shipped base), a folder, a run or a Hub id'
    )
    objective: Literal["pairwise", "pointwise", "steps"] = Field(
        description='"pairwise": Bradley-Terry on rows {prompt, chosen, rejected}; "pointwise": '
        "binary cross-entropy on rows {prompt, response, label}, where a high score means safe; "
        '"steps": the same at the end of every step of rows {prompt, steps, labels}, a process '
        "reward model"
    )
    separator: str = Field(
        LINE,
        min_length=1,
        description='what ends a step: "line", "blank_line", or a text such as a tag; for '
        'objective = "steps"',
    )
    part: Part | None = Field(
        None,
        description='what is scored of a response: what follows the thinking ("answer", default '
        'for pairs), or all of it ("whole", default for labels)',
    )
    data: PreferenceDataSettings
    template: ChatTemplateSettings = ChatTemplateSettings()
    loss: RewardLossSettings = RewardLossSettings()
    batch: RewardBatchSettings = RewardBatchSettings()
    optimizer: RewardOptimizerSettings = RewardOptimizerSettings()
    learner: LearnerSettings = LearnerSettings()
    evaluation: HeldoutSettings = HeldoutSettings()
    checkpoints: CheckpointSettings = CheckpointSettings(every=50)
    cluster: ClusterSettings | None = None
    track: TrackSettings | None = None

    @property
    def scored_part(self) -> Part:
        """The part of a response that is scored."""
        return self.part or ("answer" if self.objective == "pairwise" else "whole")

    @property
    def responses_per_row(self) -> int:
        """Responses that a row of the data holds."""
        return 2 if self.objective == "pairwise" else 1

    @property
    def form(self) -> Form:
        """What its data hold."""
        forms: dict[str, Form] = {"pairwise": "pairs", "pointwise": "labels", "steps": "steps"}
        return forms[self.objective]

    @model_validator(mode="after")
    def _consistent(self) -> RewardModelRecipe:
        if self.objective != "pairwise" and self.loss != RewardLossSettings():
            raise ValueError(f'loss.margin is for pairs; objective = "{self.objective}" has none')
        if self.objective == "steps" and self.part == "answer":
            raise ValueError('part = "answer" leaves no steps to score; leave part out')
        check_evaluation(self.evaluation.every, self.data.heldout, "preferences")
        return self


class RewardModelUse(Settings):
    """A reward model as a reward of reinforcement learning."""

    tokens_per_microbatch: ClassVar[int] = 16_384
    """Most tokens of one forward pass, prompts included."""
    settled: ClassVar = {"part": None, "tokens_per_microbatch": tokens_per_microbatch}

    path: str = Field(
        description="run of kind reward_model, one of its checkpoints, or a copy of one"
    )
    weight: float = Field(1.0, description="weight in the sum of rewards; may be negative")
    families: tuple[str, ...] = Field(
        (), description="families of problems that it judges; by default all"
    )
    from_step: int = Field(
        0, ge=0, description="updates of the policy before it becomes part of the reward"
    )
    normalise: Literal["standard", "sigmoid", "none"] = Field(
        "standard",
        description='"standard": (score - mean) / standard deviation of the held-out scores; '
        '"sigmoid": probability of the positive label; "none": the score itself. A process reward '
        "model's value is always made of probabilities",
    )
    aggregate: Rule = Field(
        "min",
        description="a process reward model's value of a response, out of the probabilities that "
        "its steps are right",
    )
    clip: float | None = Field(5.0, gt=0.0, description="largest absolute value after normalising")
    missing: float | None = Field(
        None,
        description="value of a response without the part to score (no answer after the thinking); "
        "by default that of the worst held-out response, and 0 where a value is a probability",
    )
    device: str = Field(
        "auto", description='"cpu", "cuda" or "cuda:N"; "auto" takes a GPU where there is one'
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description='number format of the weights; "auto": the checkpoint\'s own'
    )
