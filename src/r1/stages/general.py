"""The general model of a stage, which writes or judges: a checkpoint or an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.evaluation.source import find_model, open_engine, resolve_model
from r1.judge.settings import BudgetSettings, JudgeSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.stages.dataset import identity_of
from r1.stages.protocol import SampledModel
from r1.template import PromptRenderer, TemplateSettings

if TYPE_CHECKING:
    from r1.curation.cold_start import General


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
            raise ValueError("set either model or endpoint")
        if self.endpoint is not None and self.endpoint.budget != BudgetSettings():
            raise ValueError(
                "endpoint.budget works for judges only; leave it out, and limit the spending at "
                "the key's provider"
            )
        return self


def samplers_of(settings: GeneralSettings | None, at: str = "general") -> list[SampledModel]:
    """Return the general model if an engine here samples it. at: its section."""
    if settings is None or settings.model is None:
        return []
    limit = settings.sampling.max_new_tokens
    limits = {f"{at}.sampling.max_new_tokens": limit}
    return [SampledModel(f"{at}.model", settings.model, settings.engine, limit, limits)]


@contextmanager
def open_general(
    settings: GeneralSettings, base_folder: Path, cluster: ClusterSettings | None = None
) -> Iterator[General]:
    """Yield a recipe's general model, loaded or connected."""
    from r1.curation.cold_start import General
    from r1.curation.generate import endpoint_generate, engine_generate
    from r1.judge.endpoint import Endpoint
    from r1.rollout.engine_pool import capacity

    if settings.endpoint is not None:
        endpoint = settings.endpoint
        generate = endpoint_generate(lambda: Endpoint(endpoint), endpoint.limits)
        yield General(generate, str(endpoint.model), lambda text: len(text.split()))
        return
    assert settings.model is not None
    model = resolve_model(find_model(settings.model, base_folder))
    with open_engine(model, settings.engine, cluster) as engine:
        renderer = PromptRenderer(engine.tokenizer, settings.template)
        yield General(
            engine_generate(engine, renderer, settings.sampling),
            identity_of(model.path),
            lambda text: len(engine.tokenizer(text).input_ids),
            capacity(engine),
        )
