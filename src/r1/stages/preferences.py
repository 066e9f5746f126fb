"""kind = "preferences": a checkpoint's responses with a judge's votes, to train a reward model
(3.1).

    folder/responses/   every response (r1.preferences.responses)
    folder/             the preferences, with their card (r1.preferences.make)

One after the other, so that only one model is loaded at a time: checkpoint and judge may each
have the whole cluster. Both carry on where they stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from r1.data.settings import SourceSettings
from r1.evaluation.source import ModelSource, find_model, open_engine, resolve_model
from r1.plan.estimate import Context, Estimate, drawn, waiting_hours
from r1.plan.sampling import estimate_sampling
from r1.plan.workload import Amount, amount_of, prompt_length, response_length
from r1.preferences.settings import PreferenceSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, check_problems
from r1.stages.dataset import DATA, dataset_run, identity_of, load_problem_lists, part
from r1.stages.general import GeneralSettings, samplers_of
from r1.stages.protocol import SampledModel, StageContext, StageKind
from r1.template import PromptRenderer, TemplateSettings

if TYPE_CHECKING:
    from r1.judge.batch import Votes
    from r1.preferences.responses import ResponseSampler

NAME = "preferences"
RESPONSES = "responses"
CLEAR_SHARE = 0.5
CLEAR_NOTE = "the judge is sure of half of what it is asked"
JUDGE_ELSEWHERE = "the judge behind an endpoint computes elsewhere"


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


def make(stage: PreferencesStage, context: StageContext) -> None:
    """Sample a checkpoint's responses, have them judged, keep those with a clear verdict."""
    from r1.curation.store import read_size
    from r1.judge.judge import Judge
    from r1.preferences.make import Origins, make_preferences
    from r1.preferences.responses import sample_responses

    base_folder, progress = context.base_folder, context.progress.data
    problems, _ = load_problem_lists(stage.problems, (), RewardSettings(), base_folder)
    if stage.judge.endpoint is not None:  # told now, not after hours of sampling
        with Judge(stage.judge.endpoint) as judge:
            judge.check()
    settings = part(stage, PreferenceSettings)
    model = resolve_model(find_model(stage.model, base_folder))
    source, responses = identity_of(model.path), context.folder / RESPONSES
    sampler = partial(_open_sampler, model, stage, context)
    sample_responses(responses, problems, sampler, settings, source, progress)
    judging, name = None, ""
    if stage.judge.model is not None:
        judging = resolve_model(find_model(stage.judge.model, base_folder))
        name = identity_of(judging.path)
    elif stage.judge.endpoint is not None:
        name = stage.judge.endpoint.model
    make_preferences(
        context.folder,
        responses,
        partial(_open_votes, judging, name, stage, context),
        settings,
        Origins(source, name),
        progress,
        total=read_size(responses).items,
    )


@contextmanager
def _open_sampler(
    model: ModelSource, stage: PreferencesStage, context: StageContext
) -> Iterator[ResponseSampler]:
    from r1.preferences.responses import ResponseSampler

    with open_engine(model, stage.engine, context.cluster) as engine:
        yield ResponseSampler(engine, PromptRenderer(engine.tokenizer, stage.template))


@contextmanager
def _open_votes(
    model: ModelSource | None, name: str, stage: PreferencesStage, context: StageContext
) -> Iterator[Votes]:
    """Open the judge: replicas or one engine of a model, or an endpoint with stored replies."""
    from r1.judge.batch import EndpointVotes, EngineVotes
    from r1.judge.judge import Judge
    from r1.rewards.judge import CACHE_NAME

    if model is not None:
        with open_engine(model, stage.judge.engine, context.cluster) as engine:
            renderer = PromptRenderer(engine.tokenizer, stage.judge.template)
            yield EngineVotes(engine, renderer, stage.judge.sampling, name, stage.seed)
        return
    endpoint = stage.judge.endpoint
    assert endpoint is not None
    if endpoint.cache is None:
        endpoint = endpoint.model_copy(update={"cache": context.folder / CACHE_NAME})
    with Judge(endpoint) as judge:
        yield EndpointVotes(judge)


def check(stage: PreferencesStage, cache: CheckCache) -> None:
    """Check the problems and both models."""
    check_problems(stage.problems, RewardSettings(), cache)
    check_model(stage.model, cache)
    if stage.judge.model is not None:
        check_model(stage.judge.model, cache, "judge.model")


def samplers(stage: PreferencesStage) -> list[SampledModel]:
    """Return the checkpoint, and the judge unless it is behind an endpoint."""
    limit = stage.sampling.max_new_tokens
    limits = {"sampling.max_new_tokens": limit}
    own = SampledModel("model", stage.model, stage.engine, limit, limits)
    return [own, *samplers_of(stage.judge, "judge")]


def estimate(name: str, stage: PreferencesStage, context: Context) -> Estimate:
    """Estimate a checkpoint's responses and a judge's votes on whole responses."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape, number = context.shape(stage.model), stage.num_samples
    limit = stage.sampling.max_new_tokens
    done = estimate_sampling(name, NAME, shape, context, amount, number, limit, stage.engine)
    if amount.rows is None or done.machine is None:
        return done
    each = 2 if stage.objective == "pairwise" else 1
    questions = amount.rows * number // each
    read = each * done.response_tokens / max(1, done.samples)
    made = Amount(round(questions * CLEAR_SHARE), read)
    done = replace(done, makes=made, assumptions=(*done.assumptions, CLEAR_NOTE))
    if stage.judge.model is None:
        return replace(done, assumptions=(*done.assumptions, JUDGE_ELSEWHERE))
    return _with_votes(done, stage, context, questions * stage.judging.votes, read)


def _with_votes(
    done: Estimate, stage: PreferencesStage, context: Context, votes: int, read: float
) -> Estimate:
    """Return the estimate with the judge's votes, each after `read` tokens of responses."""
    sampler = done.machine
    assert stage.judge.model is not None
    assert sampler is not None
    judge = context.shape(stage.judge.model)
    machine, limit = context.machine(judge), stage.judge.sampling.max_new_tokens
    prompt = prompt_length(judge, context.given.mean_prompt)
    prompt = prompt._replace(tokens=prompt.tokens + read)
    reply = response_length(judge, limit, False, context.given.mean_response)
    work = drawn(machine, judge, prompt, reply, votes, 1, "judging")
    waits = waiting_hours(machine, stage.judge.engine, votes * reply.tokens, limit) if votes else 0
    judging = machine.hours((work,), waits) * machine.num_gpus  # told in hours of the sampler's
    return replace(
        done,
        samples=done.samples + votes,
        prompt_tokens=done.prompt_tokens + votes * prompt.tokens,
        response_tokens=done.response_tokens + votes * reply.tokens,
        parts=(*done.parts, work),
        hours=done.hours + judging / sampler.num_gpus,
    )


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=PreferencesStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
        samplers=samplers,
    )
)
