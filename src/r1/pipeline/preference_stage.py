"""The stage that makes preferences for a reward model: a checkpoint answers, a judge decides.

    folder/responses/   every response (r1.curation.responses)
    folder/             the preferences, with their card (r1.curation.preferences)

One after the other, so that only one model is loaded at a time: checkpoint and judge may each
have the whole cluster. Both carry on where they stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from r1.cluster.settings import ClusterSettings
from r1.curation.preference_settings import PreferenceSettings
from r1.curation.preferences import Origins, make_preferences
from r1.curation.progress import Progress
from r1.curation.responses import Sampler, sample_responses
from r1.curation.store import read_size
from r1.evaluate.source import ModelSource, open_engine, resolve_model
from r1.judge.batch import EndpointVotes, EngineVotes, Votes
from r1.judge.judge import Judge
from r1.pipeline.data_stages import identity_of, load_problem_lists
from r1.pipeline.r1_zero import find_model
from r1.pipeline.stage_settings import PreferencesStage, part
from r1.rewards.judge import CACHE_NAME
from r1.rewards.settings import RewardSettings
from r1.template import PromptRenderer

RESPONSES = "responses"


def run_preferences(
    stage: PreferencesStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Sample a checkpoint's responses, have them judged, keep what a judge is sure of."""
    problems, _ = load_problem_lists(stage.problems, (), RewardSettings(), base_folder)
    if stage.judge.endpoint is not None:  # told now, not after hours of sampling
        with Judge(stage.judge.endpoint) as judge:
            judge.check()
    settings = part(stage, PreferenceSettings)
    model = resolve_model(find_model(stage.model, base_folder))
    source, responses = identity_of(model.path), folder / RESPONSES
    sampler = partial(_open_sampler, model, stage, cluster)
    sample_responses(responses, problems, sampler, settings, source, progress)
    judging, name = None, ""
    if stage.judge.model is not None:
        judging = resolve_model(find_model(stage.judge.model, base_folder))
        name = identity_of(judging.path)
    elif stage.judge.endpoint is not None:
        name = stage.judge.endpoint.model
    make_preferences(
        folder,
        responses,
        partial(_open_votes, judging, name, stage, folder, cluster),
        settings,
        Origins(source, name),
        progress,
        total=read_size(responses).items,
    )


@contextmanager
def _open_sampler(
    model: ModelSource, stage: PreferencesStage, cluster: ClusterSettings | None
) -> Iterator[Sampler]:
    with open_engine(model, stage.engine, cluster) as engine:
        yield Sampler(engine, PromptRenderer(engine.tokenizer, stage.template))


@contextmanager
def _open_votes(
    model: ModelSource | None,
    name: str,
    stage: PreferencesStage,
    folder: Path,
    cluster: ClusterSettings | None,
) -> Iterator[Votes]:
    """The judge: replicas or one engine of a model, or an endpoint with its paid replies kept."""
    if model is not None:
        with open_engine(model, stage.judge.engine, cluster) as engine:
            renderer = PromptRenderer(engine.tokenizer, stage.judge.template)
            yield EngineVotes(engine, renderer, stage.judge.sampling, name, stage.seed)
        return
    endpoint = stage.judge.endpoint
    assert endpoint is not None
    if endpoint.cache is None:
        endpoint = endpoint.model_copy(update={"cache": folder / CACHE_NAME})
    with Judge(endpoint) as judge:
        yield EndpointVotes(judge)
