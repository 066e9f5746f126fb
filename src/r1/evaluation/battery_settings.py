"""Settings of the evaluation of one checkpoint for the table of stages (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.config import Settings
from r1.data.settings import SourceSettings
from r1.evaluation.settings import EvaluationSettings
from r1.reward_model.settings import RewardModelUse
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.template import TemplateSettings

HELPFUL, HARMLESS = "helpful", "harmless"


class EvaluationStageSettings(Settings):
    """The evaluation of a checkpoint: reasoning by rules, general requests by reward models."""

    kind: Literal["evaluation"] = Field("evaluation", description="a row of the table of stages")
    model: str = Field(
        description='what is measured: "@STAGE", "tiny", a folder, a run or a Hub id'
    )
    title: str = Field("", description="name of the row in the table; by default that of the stage")
    template: TemplateSettings = TemplateSettings()
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="reasoning problems, whose answers rules judge"
    )
    general: tuple[SourceSettings, ...] = Field(
        (), description="requests that reward models judge; `rewards.weights` are not for them"
    )
    reward_models: dict[str, RewardModelUse] = Field(
        default_factory=dict,
        description='"helpful", "harmless" or both; weight, families and from_step have no effect '
        "here",
    )
    evaluation: EvaluationSettings = EvaluationSettings()
    max_new_tokens: int = Field(
        256, ge=1, description="longest response, in tokens, where [evaluation] gives none"
    )
    rewards: RewardSettings = RewardSettings()
    engine: EngineSettings = EngineSettings()

    @model_validator(mode="after")
    def _consistent(self) -> EvaluationStageSettings:
        for name in self.reward_models:
            if name not in (HELPFUL, HARMLESS):
                raise ValueError(
                    f'reward_models.{name}: an evaluation knows "{HELPFUL}" and "{HARMLESS}"'
                )
        if self.reward_models and not self.general:
            raise ValueError("reward models judge general requests; add a [[general]] source")
        if any(source.weight is not None for source in (*self.problems, *self.general)):
            raise ValueError("weight is for training; every problem of an evaluation counts once")
        return self
