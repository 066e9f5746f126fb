"""`r1 eval`: evaluate a model on problems, show the figures, and resume after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from r1.cluster.settings import ClusterSettings
from r1.config import dump, validate
from r1.data.external import inputs_of
from r1.data.load import load_data
from r1.data.settings import DataSettings, SourceSettings
from r1.endpoint.settings import INDECISIVE, SECTION
from r1.errors import UserError
from r1.evaluation.blocks import BlockPlan
from r1.evaluation.console import OnProblem, block_rows, show_progress, show_samples
from r1.evaluation.pretty import evaluation_table
from r1.evaluation.search import (
    check_candidates,
    check_search,
    finish_search,
    identity_of_search,
    open_search,
)
from r1.evaluation.search_figures import aggregate_table, search_table
from r1.evaluation.settings import DECISIVE_REWARDS, EvaluationSettings
from r1.evaluation.source import (
    ModelSource,
    check_replicas,
    choose_template,
    context_of_source,
    open_sampler,
    resolve_model,
)
from r1.evaluation.suite import EvaluationLine, Planned, Summary, evaluate_suite
from r1.plugins import find_beside
from r1.rewards.settings import RewardSettings
from r1.rewards.unjudged import check_rules
from r1.rollout.make import check_limit, tell_of_room
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import describe_source
from r1.run_dir.evaluation import RESULT, SEARCH_PAGE, SEARCH_RESULT
from r1.search.settings import SearchSettings
from r1.template import TemplateSettings, parse
from r1.types import Problem

QUEUE = "queue.json"
"""The calls of a suite, in its folder."""
REPLIES = "replies.jsonl"
"""The samples of an endpoint that were paid for, in the evaluation's folder."""


class EvaluationSetup(NamedTuple):
    """The model, and what its samples are drawn and judged with. cluster: where replicas sample;
    search: what is asked for candidates in place of samples."""

    source: ModelSource
    template: TemplateSettings
    rewards: RewardSettings
    engine: EngineSettings
    cluster: ClusterSettings | None = None
    search: SearchSettings | None = None


def run_eval_command(
    model: str,
    out: Path,
    console: Console,
    *,
    step: int | None = None,
    sources: Sequence[SourceSettings] = (),
    base_folder: Path = Path(),
    overrides: Mapping[str, Any] | None = None,
    template: TemplateSettings | None = None,
    rewards: RewardSettings | None = None,
    sampling: SamplingSettings | None = None,
    evaluation: EvaluationSettings | None = None,
    engine: EngineSettings | None = None,
    cluster: Mapping[str, Any] | None = None,
    endpoint: Sequence[str] = (),
    search: SearchSettings | None = None,
    source: ModelSource | None = None,
) -> dict[str, Any]:
    """Evaluate a model into the folder `out`, print the figures and return their summary.

    model: what `resolve_model` understands; a run brings its own recipe, whose held-out problems,
        template, rewards, sampling and evaluation hold wherever nothing else is given.
    step: the run's checkpoint to take instead of the newest.
    sources, base_folder: the problems, and the folder their relative paths start from.
    overrides: of EvaluationSettings (num_samples, temperature, top_p, max_new_tokens, seed);
        None values are as if not given.
    cluster: sample on engine replicas; overrides of ClusterSettings (address, engine_replicas), the
        rest as in the run's own [cluster]. It moves no figure and may differ from call to call.
    endpoint: `endpoint.KEY=VALUE`, where the model is URL#model.
    search: judge the candidates of a search, and say what each rule would have chosen.
    source: what `resolve_model` made of the model, where that was asked before.
    The same call again carries on with an evaluation that was stopped, or shows a finished one.
    Raises UserError for whatever the user can put right.
    """
    source = source or resolve_model(model, step, endpoint)
    if search is not None:
        check_search(search, source.endpoint is not None or cluster is not None)
    engine = source.settings("engine", EngineSettings, engine)
    placed = place_replicas(source, engine, cluster)
    sources, base_folder = _sources(source, sources, base_folder)
    settings = _settings(source, evaluation, overrides or {})
    template = choose_template(source, template)
    rewards = _rewards(source, template, rewards)
    rewards.validate_names()  # imports its plugins, whose verifiers the problems may name
    problems = _load(sources, base_folder, rewards)
    training = source.settings("sampling", SamplingSettings, sampling)
    check_rules(rewards, problems)
    plan = BlockPlan(problems, settings, settings.sampling(training), source.step)
    if search is not None:
        check_candidates(search, problems, plan.sampling)
    if context_of_source(source, engine) is not None:
        check_limit(plan.sampling.max_new_tokens, source.path, engine)
    setup = EvaluationSetup(source, template, rewards, engine, placed, search)
    summary = measure(setup, plan, out, console)
    title = _title(model, source)
    if search is not None:
        figures = finish_search(out, search, title)
        console.print(search_table(figures, f"{title}, {search.method}"))
        if (compared := aggregate_table(figures)) is not None:
            console.print(compared)
        console.print(f"figures: {out / SEARCH_RESULT}", highlight=False, soft_wrap=True)
        console.print(f"page: {out / SEARCH_PAGE}", highlight=False, soft_wrap=True)
        return figures
    console.print(evaluation_table(summary, title=title))
    show_samples(console, block_rows(out))
    console.print(f"figures: {out / RESULT}", highlight=False, soft_wrap=True)
    return summary


def evaluation_sections(recipe: Any, base_folder: Path) -> dict[str, Any]:
    """Return what `run_eval_command` takes of a recipe that learns from rewards: held-out problems,
    template, rewards, and how it samples."""
    names = ("template", "rewards", "sampling", "evaluation", "engine")
    return {
        **{name: getattr(recipe, name) for name in names},
        "sources": recipe.data.heldout,
        "base_folder": base_folder,
        "cluster": recipe.cluster and recipe.cluster.model_dump(exclude_unset=True),
    }


def measure(setup: EvaluationSetup, plan: BlockPlan, out: Path, console: Console) -> dict[str, Any]:
    """Evaluate into the folder `out`, showing how far it is; return the summary.

    The same call again carries on. Raises UserError as `evaluate_suite` does.
    """
    [summary] = measure_suite([Measurement(setup, plan, out)], console, out)
    return summary


class Measurement(NamedTuple):
    """An evaluation to make. also: JSON values that decide its figures besides model, plan and
    rewards."""

    setup: EvaluationSetup
    plan: BlockPlan
    out: Path
    also: Mapping[str, Any] = {}


def measure_suite(
    measurements: Sequence[Measurement],
    console: Console,
    folder: Path,
    on_done: Callable[[int, Summary], None] = lambda place, summary: None,
    on_problem: OnProblem | None = None,
) -> list[dict[str, Any]]:
    """Evaluate all in one queue, showing how far it is; return the summaries.

    They have one model, template and engine, which are those of the first. folder: where the queue
    and an endpoint's samples are kept. on_problem: told of each problem, in place of the display.
    on_done: called with the place and the summary of each that
    ends. Raises UserError as `evaluate_suite` does.
    """
    planned = [
        Planned(plan, out, {**_identity(setup), **also}) for setup, plan, out, also in measurements
    ]
    total = sum(len(each.plan.problems) for each in measurements)
    shown = show_progress(console, total) if on_problem is None else nullcontext(on_problem)
    with shown as told:
        open_lines = partial(_open_lines, measurements, folder)
        return evaluate_suite(planned, open_lines, told, folder / QUEUE, on_done)


def _identity(setup: EvaluationSetup) -> dict[str, Any]:
    """Identity of an evaluation: it resumes only if this is unchanged."""
    source, template, rewards, engine = setup[:4]
    identity: dict[str, Any] = {
        "model": describe_source(source.path),
        "template": dump(template),
        "rewards": rewards.model_dump(mode="json", include=DECISIVE_REWARDS),
        "dtype": engine.dtype,
    }
    if rewards.plugins:
        read = inputs_of({"rewards": {"plugins": rewards.plugins}}, Path())
        identity["plugins"] = {plugin.role: plugin.summary() for plugin in read}
    if source.endpoint is not None:
        identity["engine"] = SECTION
        identity[SECTION] = source.endpoint.model_dump(mode="json", exclude=INDECISIVE)
    elif engine.kind != "embedded":
        identity["engine"] = engine.kind  # another engine draws other samples from the same seeds
    if setup.search is not None:
        identity["search"] = identity_of_search(setup.search)
    if rewards.judge is not None:
        identity["judge"] = {**rewards.judge.sampling(), "votes": rewards.judge.votes}
    return identity


def _sources(
    source: ModelSource, given: Sequence[SourceSettings], base_folder: Path
) -> tuple[Sequence[SourceSettings], Path]:
    """Return the given sources or the run's held-out ones, and their base folder."""
    # A recipe without rewards has examples in its data section, not problems.
    if not given and "rewards" in source.recipe:
        given = source.settings("data", DataSettings).heldout
        base_folder = Path(source.recipe.get("base_folder", base_folder))
    if not given:
        raise UserError(
            "nothing to evaluate on: give --recipe RECIPE, whose [[data.heldout]] names problems, "
            "or name a run whose own recipe has such a section."
        )
    find_beside(base_folder)  # where the rewards' plugins may lie
    return given, base_folder


def _load(
    sources: Sequence[SourceSettings], base_folder: Path, rewards: RewardSettings
) -> list[Problem]:
    """Load the problems of every source and make their ids unique."""
    from r1.rewards.accuracy import check_reference

    # As one data section: ids that several sources share are then told apart as in training.
    section = DataSettings(train=tuple(sources), decontaminate=False)
    check = partial(check_reference, settings=rewards)
    return [p for pool in load_data(section, base_folder, check).pools for p in pool]


def _settings(
    source: ModelSource, given: EvaluationSettings | None, overrides: Mapping[str, Any]
) -> EvaluationSettings:
    settings = source.settings("evaluation", EvaluationSettings, given)
    told = {name: value for name, value in overrides.items() if value is not None}
    return validate({**dump(settings), **told}, EvaluationSettings, "evaluation")


def place_replicas(
    source: ModelSource, engine: EngineSettings, given: Mapping[str, Any] | None
) -> ClusterSettings | None:
    """Return where a model's replicas sample; None: in this process. given: over its [cluster].

    Raises UserError where they cannot be placed.
    """
    if given is None:
        return None
    if source.endpoint is not None:
        raise UserError(
            "an endpoint samples on its own machines; leave --cluster and [cluster] out."
        )
    values = {name: value for name, value in given.items() if value is not None}
    own = source.recipe.get("cluster") or {}
    placed = validate({**own, **values}, ClusterSettings, "cluster")
    check_replicas(source, engine, placed)
    return placed


def _rewards(
    source: ModelSource, template: TemplateSettings, given: RewardSettings | None
) -> RewardSettings:
    """Return the given rewards, else the run's, else accuracy and, if prompts ask for it,
    format.

    Plugins of the run's own are looked for beside its recipe, wherever the problems come from.
    """
    if given is None and "base_folder" in source.recipe:
        find_beside(Path(source.recipe["base_folder"]))
    if given is None and "rewards" not in source.recipe and template.kind == "chat":
        return RewardSettings(weights={"accuracy": 1.0}, answer_from="boxed")
    return source.settings("rewards", RewardSettings, given)


def _title(model: str, source: ModelSource) -> str:
    return f"{model}, step {source.step}" if source.recipe else model


@contextmanager
def _open_lines(
    measurements: Sequence[Measurement], folder: Path
) -> Iterator[list[EvaluationLine]]:
    """Load the model once and start reward workers, shared where the rewards are; stop them at the
    end."""
    from r1.rewards.accuracy import warn_of_source
    from r1.rewards.judge import cached_in, check_judge
    from r1.rewards.pool import RewardPool
    from r1.rewards.registry import PromptForm

    source, template, _, engine, cluster, search = measurements[0].setup
    sampling = measurements[0].plan.sampling
    problems = [problem for each in measurements for problem in each.plan.problems]
    for each in measurements:
        check_judge(each.setup.rewards, each.plan.problems)
        warn_of_source(each.setup.rewards, each.plan.problems, template)
    with ExitStack() as stack:
        kept = folder / REPLIES
        loaded, renderer = stack.enter_context(
            open_sampler(source, template, engine, cluster, kept)
        )
        if source.endpoint is None:
            limit = sampling.max_new_tokens
            tell_of_room(problems, renderer.encode, limit, source.path, engine)
        form = PromptForm(opened=renderer.opens_think, stop=sampling.stop)
        every = [cached_in(each.setup.rewards, each.out) for each in measurements]
        pools: dict[str, RewardPool] = {}
        for rewards in every:
            if rewards.model_dump_json() not in pools:
                pool = stack.enter_context(RewardPool(rewards, form))
                pools[rewards.model_dump_json()] = pool
        own = [pools[rewards.model_dump_json()] for rewards in every]
        if search is not None:
            rules = {
                problem.id: (problem, pool)
                for each, pool in zip(measurements, own, strict=True)
                for problem in each.plan.problems
            }
            loaded = open_search(loaded, search, problems, form, folder, rules)
        read = partial(parse, opened=renderer.opens_think)
        yield [EvaluationLine(loaded, pool, renderer, read) for pool in own]
