"""Run R1-Zero: build problems, engine, learner and rewards from a recipe; the loop trains.

Every fault of a recipe, its data, its model and its folder is found before the first token is
sampled.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.algorithms.batch import has_signal
from r1.algorithms.protocol import Algorithm
from r1.config import as_now, dump
from r1.data.external import inputs_of
from r1.data.load import LoadedData, load_data
from r1.diagnose.live import WatchedEvents
from r1.evaluation.run import VotingScorer, evaluate
from r1.evaluation.source import find_weights
from r1.learner.settings import longer_notices
from r1.learner.supervised_run import kernels_of
from r1.loop import EvaluationHook, TrainSettings, train
from r1.models.device import resolve_device
from r1.models.load import check_model_folder, load_tokenizer
from r1.models.opening_token import opening_facts
from r1.r1_zero.settings import MAY_CHANGE_ON_RESUME, MAY_GROW, R1ZeroRecipe
from r1.r1_zero.teacher import find_teacher
from r1.r1_zero.workers import open_reward_models, open_workers, place
from r1.reward_model.mixture import check_reward_models, with_reward_models
from r1.rewards.accuracy import check_reference, warn_of_source
from r1.rewards.judge import cached_in, check_judge
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.unjudged import check_families
from r1.rollout.limits import tell_of_short_room
from r1.rollout.make import check_engine, check_engine_model, check_limit, engine_context
from r1.rollout.protocol import Engine
from r1.rollout.scored import Counts, Scorer
from r1.rollout.seeds import sample_seed
from r1.run_dir import RunDir, completion_table, describe_source
from r1.run_dir.events import RunEvents
from r1.run_dir.inputs import FileHash, Input
from r1.sampling.choose import open_sampler
from r1.sampling.late import LateVerdicts
from r1.sampling.roll_out import BatchSource, Rollouts
from r1.template import PromptRenderer
from r1.types import Problem, ScoredGroup

KIND = "r1_zero"


class PreparedR1Zero(NamedTuple):
    """A recipe whose models, data and prompts have been checked."""

    recipe: R1ZeroRecipe
    model: str
    teacher: str | None
    data: LoadedData
    tokenizer: Any
    renderer: PromptRenderer


def prepare(recipe: R1ZeroRecipe, base_folder: Path) -> PreparedR1Zero:
    """Check everything that can be checked before a model is loaded. Raises UserError."""
    recipe.rewards.validate_names()
    check_reward_models(recipe.reward_models, base_folder)
    model = find_weights(recipe.model, base_folder)
    check_model_folder(model)
    if recipe.cluster is None:  # a cluster's devices are its nodes', not this machine's
        resolve_device(recipe.learner.device)
        check_engine(model, recipe.engine)
    else:
        check_engine_model(model, recipe.engine)
    check_limit(recipe.sampling.max_new_tokens, model, recipe.engine)
    measured = recipe.evaluation.max_new_tokens or recipe.sampling.max_new_tokens
    if measured != recipe.sampling.max_new_tokens:
        check_limit(measured, model, recipe.engine, "evaluation.max_new_tokens")
    tokenizer = load_tokenizer(model)
    teacher = find_teacher(recipe, base_folder, tokenizer)
    renderer = PromptRenderer(tokenizer, recipe.template)
    check = partial(check_reference, settings=recipe.rewards)
    context, lengths = engine_context(model, recipe.engine), dict[str, int]()
    fits = partial(_too_long, renderer=renderer, context=context, lengths=lengths)
    data = load_data(recipe.data, base_folder, check, fits)
    for whose, limit, found in (
        (
            "training prompts",
            recipe.sampling.max_new_tokens,
            [p for pool in data.pools for p in pool],
        ),
        ("held-out prompts", measured, data.heldout),
    ):
        tell_of_short_room(whose, [lengths[p.dialogue] for p in found], limit, context)
    problems = [*(p for pool in data.pools for p in pool), *data.heldout]
    judged_by_models = {name: use.families for name, use in recipe.reward_models.items()}
    check_families(recipe.rewards, problems, judged_by_models)
    check_judge(recipe.rewards, problems)
    warn_of_source(recipe.rewards, problems, recipe.template)
    return PreparedR1Zero(recipe, model, teacher, data, tokenizer, renderer)


def run_r1_zero(
    recipe: R1ZeroRecipe,
    base_folder: Path,
    out: Path,
    progress: RunEvents,
    *,
    accept_changes: bool = False,
) -> Path:
    """Train into the folder `out`, or resume there; return it.

    base_folder: where the recipe's relative paths start. accept_changes: carry on although files
    that the run read have changed. Raises UserError for a user's mistakes, with nothing written.
    """
    prepared = prepare(recipe, base_folder)
    model = prepared.model
    algorithm, limit = recipe.make_algorithm(), recipe.sampling.max_new_tokens
    source = batch_source(recipe, prepared.data, partial(_teaches, algorithm, limit))
    with ExitStack() as stack:
        placement = stack.enter_context(place(recipe, model))
        run = stack.enter_context(_open_run(prepared, base_folder, out, accept_changes))
        progress = WatchedEvents(progress, run.folder, recipe.stop_when_hopeless)
        workers = stack.enter_context(open_workers(recipe, model, prepared.teacher, placement, run))
        learner, engine, usage, events = workers
        if run.resume_from is not None:
            learner.load(run.resume_from)
        form = PromptForm(opened=prepared.renderer.opens_think, stop=recipe.sampling.stop)
        pool = stack.enter_context(RewardPool(cached_in(recipe.rewards, out), form))
        judging = open_reward_models(recipe, base_folder, form, placement, events)
        scorer = with_reward_models(pool, stack.enter_context(judging))
        rollouts = Rollouts(engine, _patient(scorer, recipe), prepared.renderer, usage)
        progress.begin(run.resume_step(), recipe.num_steps, run.notices)
        sampler = open_sampler(source, rollouts, recipe.algorithm)
        settings = TrainSettings(recipe.num_steps, algorithm, limit)
        measure = evaluator(run, prepared, engine, scorer, progress)
        evaluation = EvaluationHook(partial(_due, prepared), measure)
        report = _watched(progress)
        train(run, sampler, rollouts, learner, settings, evaluation, report)
        run.finish()
    return out


def _patient(scorer: Scorer, recipe: R1ZeroRecipe) -> Scorer:
    """The training's scorer, which is waited for as long as the recipe says."""
    if recipe.rewards.late_s is None:
        return scorer
    return LateVerdicts(scorer, recipe.rewards.late_s, pooled=recipe.algorithm.importance_cap > 0)


def batch_source(
    recipe: R1ZeroRecipe, data: LoadedData, teaches: Callable[[ScoredGroup], bool]
) -> BatchSource:
    """Return the source of a recipe's batches."""
    algorithm = recipe.algorithm
    spare_seed = sample_seed(recipe.seed, "spare") % 2**32
    setting = f"{recipe.algorithm_name}.num_problems"
    return BatchSource(
        problems=data.batches(algorithm.num_problems, recipe.seed, setting),
        spare=data.batches(algorithm.num_problems, spare_seed, setting),
        seed=recipe.seed,
        group_size=algorithm.group_size,
        sampling=recipe.sampling,
        teaches=teaches,
        rounds=algorithm.dynamic_sampling,
    )


def _teaches(algorithm: Algorithm, max_new_tokens: int, scored: ScoredGroup) -> bool:
    return has_signal(scored, algorithm, max_new_tokens)


def evaluator(
    run: RunDir, prepared: PreparedR1Zero, engine: Engine, scorer: VotingScorer, progress: RunEvents
) -> Callable[[int], None]:
    """Return an Evaluation that measures the weights after `step` updates if due and not done."""
    recipe, problems = prepared.recipe, prepared.data.heldout

    def measure(step: int) -> None:
        if not _due(prepared, step) or run.has_evaluation(step):
            return
        done, begin = 0, time.perf_counter()

        def count(_: object) -> None:
            nonlocal done
            done += 1
            progress.evaluating(step, done, len(problems))

        result = evaluate(
            engine,
            scorer,
            prepared.renderer,
            problems,
            recipe.evaluation,
            training=recipe.sampling,
            step=step,
            on_problem=count,
        )
        table = completion_table(step, result.groups, prepared.renderer.parse)
        summary = result.summary()
        run.commit_evaluation(step, summary, table, seconds=time.perf_counter() - begin)
        progress.evaluation(step, summary)

    return measure


def _due(prepared: PreparedR1Zero, step: int) -> bool:
    """Whether the weights after `step` updates must be evaluated."""
    recipe = prepared.recipe
    every = recipe.evaluation.every
    regular = every > 0 and step % every == 0
    return bool(prepared.data.heldout) and (regular or step in (0, recipe.num_steps))


def _watched(progress: RunEvents) -> Callable[[int, Mapping[str, float], Counts], None]:
    """Return progress.step with a warning if the verifiers fail too often."""

    def step(step: int, metrics: Mapping[str, float], counts: Counts) -> None:
        progress.step(step, metrics)
        alarm = counts.alarm()
        if alarm is not None:
            progress.warn(alarm)

    return step


def _open_run(
    prepared: PreparedR1Zero, base_folder: Path, out: Path, accept_changes: bool
) -> RunDir:
    recipe = prepared.recipe
    settings = dump(recipe)
    files = inputs_of(settings, base_folder, prepared.model)
    run = RunDir.open(
        out,
        {**settings, "base_folder": str(base_folder.resolve())},
        KIND,
        checkpoints=recipe.checkpoints,
        ignore=MAY_CHANGE_ON_RESUME,
        grows=MAY_GROW,
        as_now=partial(as_now, schema=R1ZeroRecipe),
        inputs=[*files, *_drawn(prepared.data, recipe, files)],
        accept_changes=accept_changes,
        seeds={"run": recipe.seed, "evaluation": recipe.evaluation.seed},
        parent={"model": recipe.model, **describe_source(prepared.model)},
        datasets=[found.summary() for found in files if found.role.startswith("data.")],
        kernels=kernels_of(recipe),
    )
    renderer = prepared.renderer
    opening = opening_facts(prepared.tokenizer, renderer.encode("?"))
    run.note_facts({**opening, "opens_think": renderer.opens_think})
    if run.longer:
        run.notices += longer_notices(recipe.optimizer)
        if recipe.algorithm.staleness:
            run.notices.append(
                f"{recipe.algorithm_name}.staleness samples ahead, but not beyond a run's end: "
                "the first batches after it are sampled with newer weights than in a run of this "
                "length from the start."
            )
    return run


def _drawn(data: LoadedData, recipe: R1ZeroRecipe, files: list[Input]) -> list[Input]:
    """Return the problems of sources without local files (generated, or from a hub), by content."""
    local = {found.role.removesuffix(".path") for found in files if found.files}
    parts = {f"data.train.{i}": pool for i, pool in enumerate(data.pools)}
    drawn = [f"data.heldout.{i}" for i in range(len(recipe.data.heldout))]
    if any(role not in local for role in drawn):
        parts["data.heldout"] = data.heldout
    found = []
    for role, problems in parts.items():
        if role not in local:
            text = json.dumps([asdict(problem) for problem in problems], default=str)
            content = text.encode("utf-8", "surrogatepass")
            digest = FileHash(len(content), hashlib.sha256(content).hexdigest())
            found.append(Input(role, "as drawn", {"problems": digest}))
    return found


def _too_long(
    problem: Problem, renderer: PromptRenderer, context: int, lengths: dict[str, int]
) -> str | None:
    """Return why a prompt leaves no space for a response, or None; record the prompt's length."""
    length = lengths[problem.dialogue] = len(renderer.encode(problem.prompt, problem.earlier))
    if length < context:
        return None
    return (
        f"problem {problem.id}: its prompt has {length} tokens, but the model's context is "
        f"{context} and a response needs at least one; shorten the problem or leave it out"
    )
