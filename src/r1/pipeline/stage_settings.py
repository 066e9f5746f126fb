"""Settings of the stages that make data sets (torch-free).

kind = "rejection"     samples of a checkpoint, the correct and readable ones kept
kind = "prompted"      traces that a general model writes, few-shot or direct
kind = "refined"       a data set's traces, rewritten and summarised by a general model
kind = "review"        a data set's traces as people edited them
kind = "examples"      examples of the user's own, or of the tiny world
kind = "mixture"       several data sets as one
kind = "preferences"   a checkpoint's responses, judged: what a reward model learns from
"""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, Field, model_validator

from r1.config import Settings
from r1.curation.pattern import PatternSettings
from r1.curation.preference_settings import PreferenceSettings
from r1.curation.settings import (
    ColdStartSettings,
    MixtureSettings,
    RejectionSettings,
    ReviewSettings,
    ShardSettings,
)
from r1.data.settings import SourceSettings
from r1.judge.settings import BudgetSettings, JudgeSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.sft.settings import ExampleSource
from r1.template import TemplateSettings


class GeneralSettings(Settings):
    """The general model: a checkpoint (of the run, a folder, a hub id), or an endpoint."""

    model: str | None = Field(None, description='checkpoint: "@STAGE", a model folder or a Hub id')
    template: TemplateSettings = TemplateSettings(kind="chat")
    sampling: SamplingSettings = SamplingSettings()
    engine: EngineSettings = EngineSettings()
    endpoint: JudgeSettings | None = Field(
        None, description="an OpenAI-compatible endpoint, in place of `model`; it has no budget"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> GeneralSettings:
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("name either model or endpoint: who writes?")
        if self.endpoint is not None and self.endpoint.budget != BudgetSettings():
            raise ValueError(
                "endpoint.budget is a judge's and would not be kept to here; leave it out, and "
                "limit what may be spent where the key comes from"
            )
        return self


class RejectionStage(RejectionSettings):
    """Rejection sampling from a checkpoint (paper, section 2.3.3); also R1-Zero's readable
    samples for the cold start (section 2.3.1)."""

    model: str = Field(description='what is sampled: "@STAGE", "tiny", a folder, a run or a Hub id')
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that are sampled"
    )
    heldout: tuple[SourceSettings, ...] = Field(
        (), description="sources of evaluation problems, whose overlaps are left out"
    )
    template: TemplateSettings = TemplateSettings()
    rewards: RewardSettings = RewardSettings()
    engine: EngineSettings = EngineSettings()
    origin: str = Field("rejection", description="how the rows say that they were made")


class _Written(ColdStartSettings):
    """What the stages share in which a general model writes; cold start's own rules."""

    general: GeneralSettings = Field(description="who writes: a checkpoint or an endpoint")
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that traces are written for"
    )
    rewards: RewardSettings = RewardSettings(answer_from="boxed")


class PromptedStage(_Written):
    """Traces by few-shot or direct prompting (paper, section 2.3.1)."""

    how: Literal["few-shot", "direct"] = Field(
        description="ask with worked examples, or directly for reflection and verification"
    )
    heldout: tuple[SourceSettings, ...] = Field(
        (), description="sources of evaluation problems, whose overlaps are left out"
    )
    examples: str | None = Field(
        None,
        description='data set whose traces are the worked examples: "@STAGE" or a folder; by '
        "default shipped ones",
    )


class RefinedStage(_Written):
    """Readable samples, rewritten in the question's language with a summary (section 2.3.1)."""

    samples: str = Field(description='data set of traces to rewrite: "@STAGE" or a folder')


class ReviewStage(ReviewSettings):
    """Traces that people have edited (section 2.3.1): exported first, imported afterwards."""

    seed: int = Field(0, ge=0, description="without effect: an import draws nothing")
    samples: str = Field(description='data set of traces to edit: "@STAGE" or a folder')
    wait: bool = Field(
        True, description="stop after the export until one of its files has been edited"
    )
    pattern: PatternSettings = PatternSettings()
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that the traces answer"
    )
    rewards: RewardSettings = RewardSettings(answer_from="boxed")


class ExamplesStage(Settings):
    """Your own examples as a data set, such as the non-reasoning part of a mixture."""

    seed: int = Field(0, ge=0, description="without effect: each source has its own seed")
    sources: tuple[ExampleSource, ...] = Field(min_length=1, description="sources of the examples")
    family: str = Field("general", description="kind of problem that the rows name")
    shards: ShardSettings = ShardSettings()


class MixtureStage(MixtureSettings):
    """Several data sets mixed into one, with chains of thought where a source asks for them."""

    general: GeneralSettings | None = Field(
        None, description="who writes chains of thought; needed where a source asks for them"
    )


class PreferencesStage(PreferenceSettings):
    """Preferences for a reward model (paper, section 3.1)."""

    model: str = Field(
        description='whose responses are judged: "@STAGE", "tiny", a folder, a run or a Hub id'
    )
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the prompts that are answered"
    )
    template: TemplateSettings = TemplateSettings()
    engine: EngineSettings = EngineSettings()
    judge: GeneralSettings = Field(
        description="who judges: a checkpoint or an endpoint. A verdict takes some hundred tokens, "
        "a reasoning model's thinking more"
    )

    @model_validator(mode="after")
    def _votes_differ(self) -> PreferencesStage:
        endpoint = self.judge.endpoint
        temperature = self.judge.sampling.temperature if endpoint is None else endpoint.temperature
        if self.judging.votes > 1 and temperature == 0.0:
            where = "judge.sampling" if endpoint is None else "judge.endpoint"
            raise ValueError(
                f"several votes at temperature 0 are one vote; set {where}.temperature = 1.0, or "
                "judging.votes = 1"
            )
        if endpoint is not None and endpoint.votes != 1:
            raise ValueError("judge.endpoint.votes: the votes here are judging.votes; remove it")
        return self


S = TypeVar("S", bound=Settings)


def part(settings: BaseModel, schema: type[S]) -> S:
    """The fields of a stage's settings that belong to a base of them, as that base."""
    return schema(**{name: getattr(settings, name) for name in schema.model_fields})
