"""What the kinds share that sample a checkpoint and have its responses judged by rules.

Rejection sampling, pairs of right over wrong, and labelled steps: the same line of engine, prompts
and verifiers, the same checks, the same model to place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from r1.data.settings import SourceSettings
from r1.evaluation.source import find_model, open_engine, resolve_model
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, check_problems
from r1.stages.dataset import identity_of
from r1.stages.protocol import SampledModel, StageContext
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Problem

if TYPE_CHECKING:
    from r1.curation.rejection import SamplingLine


class VerifiedSampling(Protocol):
    """The settings of such a stage that are used here."""

    @property
    def model(self) -> str: ...

    @property
    def problems(self) -> tuple[SourceSettings, ...]: ...

    @property
    def sampling(self) -> SamplingSettings: ...

    @property
    def template(self) -> TemplateSettings: ...

    @property
    def rewards(self) -> RewardSettings: ...

    @property
    def engine(self) -> EngineSettings: ...


@contextmanager
def open_line(
    stage: VerifiedSampling, problems: Sequence[Problem], context: StageContext
) -> Iterator[tuple[SamplingLine, str]]:
    """Open the checkpoint and the verifiers; give the line and the checkpoint's name and hash.

    Warns of problems whose prompts leave a response less than its limit.
    """
    from r1.curation.rejection import SamplingLine
    from r1.rewards.pool import RewardPool
    from r1.rewards.registry import PromptForm
    from r1.rollout.make import tell_of_room

    model = resolve_model(find_model(stage.model, context.base_folder))
    with open_engine(model, stage.engine, context.cluster) as engine:
        renderer = PromptRenderer(engine.tokenizer, stage.template)
        limit = stage.sampling.max_new_tokens
        tell_of_room(problems, renderer.encode, limit, model.path, stage.engine)
        form = PromptForm(opened=renderer.opens_think, stop=stage.sampling.stop)
        with RewardPool(stage.rewards, form) as pool:
            yield SamplingLine(engine, pool, renderer), identity_of(model.path)


def check(
    stage: VerifiedSampling, cache: CheckCache, heldout: tuple[SourceSettings, ...] = ()
) -> None:
    """Check names of rewards, the problems and the model."""
    stage.rewards.validate_names()
    check_problems((*stage.problems, *heldout), stage.rewards, cache)
    check_model(stage.model, cache)


def samplers(stage: VerifiedSampling) -> list[SampledModel]:
    """Return the checkpoint."""
    limit = stage.sampling.max_new_tokens
    return [
        SampledModel("model", stage.model, stage.engine, limit, {"sampling.max_new_tokens": limit})
    ]
