"""The loop: problems -> rollouts -> rewards -> advantages -> update -> weights.

Reinforcement learning with GRPO (DeepSeek-R1, section 2.2). `Engine` and `Learner` are the only
two seams: the loop never asks where they run. Everything random follows from (seed, step), so that
a run that was killed lands on the same weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from r1.data.source import Batches
from r1.grpo.batch import has_signal, make_batch
from r1.grpo.metrics import PhaseTimer, step_metrics
from r1.grpo.settings import GRPOSettings
from r1.learner.protocol import Learner
from r1.rollout.protocol import Engine
from r1.rollout.scored import Counts, Scorer, scored_groups
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.rollout.usage import Usage
from r1.run_dir import RunDir, completion_table
from r1.template import PromptRenderer
from r1.types import GroupRequest, Problem, ScoredGroup


class Rollouts(NamedTuple):
    """Who samples and who judges; usage: counts how busy the engine's workers are."""

    engine: Engine
    scorer: Scorer
    renderer: PromptRenderer
    usage: Usage | None = None


class TrainSettings(NamedTuple):
    """What the loop itself needs to know."""

    num_steps: int
    seed: int
    sampling: SamplingSettings
    grpo: GRPOSettings


def train(
    run: RunDir,
    source: Batches,
    spare: Batches,
    rollouts: Rollouts,
    learner: Learner,
    settings: TrainSettings,
    evaluate: Callable[[int], None],
    report: Callable[[int, Mapping[str, float], Counts], None],
) -> None:
    """Train from the run's newest checkpoint to settings.num_steps.

    spare deals out the problems of dynamic sampling. evaluate(step) measures the weights after
    `step` updates where that is due; report(step, metrics, counts) shows progress.
    """
    engine = rollouts.engine
    engine.load_weights(learner.weights(), version=run.resume_step())
    evaluate(run.resume_step())
    for step in run.remaining_steps(settings.num_steps):
        timer = PhaseTimer(rollouts.usage)
        with timer.phase("rollout"):
            scored_P = roll_out(step, source.batch(step), rollouts, settings)
            scored_P = add_signal(step, scored_P, spare, rollouts, settings)
        with timer.phase("update"):
            batch = make_batch(scored_P, settings.grpo, settings.sampling.max_new_tokens)
            update = learner.update(batch.batch)
        with timer.phase("sync"):
            engine.load_weights(learner.weights(), version=step + 1)
        counts = rollouts.scorer.take_counts()
        metrics = step_metrics(scored_P, batch.stats, update, timer) | counts.as_metrics()
        table = completion_table(step, scored_P, rollouts.renderer.parse, batch.advantages_PG)
        run.commit_step(step, learner.save, metrics, table)
        report(step, metrics, counts)
        evaluate(step + 1)


def roll_out(
    step: int, problems: list[Problem], rollouts: Rollouts, settings: TrainSettings, turn: int = 0
) -> list[ScoredGroup]:
    """Sample a group for every problem and score it; groups come back in the problems' order."""
    requests = [group_request(step, turn, problem, rollouts, settings) for problem in problems]
    groups = scored_groups(rollouts.engine, rollouts.scorer, problems, requests, settings.sampling)
    by_id = {scored.group.problem.id: scored for scored in groups}
    return [by_id[problem.id] for problem in problems]


def group_request(
    step: int, turn: int, problem: Problem, rollouts: Rollouts, settings: TrainSettings
) -> GroupRequest:
    """What a problem's group is asked for with; turn: 0, or the round of dynamic sampling."""
    seeds = tuple(
        sample_seed(settings.seed, "train", step, turn, problem.id, g)
        for g in range(settings.grpo.group_size)
    )
    return GroupRequest(problem.id, rollouts.renderer.encode(problem.prompt), seeds)


def add_signal(
    step: int,
    scored_P: list[ScoredGroup],
    spare: Batches,
    rollouts: Rollouts,
    settings: TrainSettings,
) -> list[ScoredGroup]:
    """Dynamic sampling (DAPO, arXiv 2503.14476): replace groups that an update learns nothing from.

    Each of grpo.dynamic_sampling rounds samples spare problems, as many as the groups that have no
    signal yet; what cannot be replaced stays. With 0 rounds the groups are left as they are.
    """
    for turn in range(1, settings.grpo.dynamic_sampling + 1):
        fresh = spare_problems(step, turn, scored_P, spare, settings)
        if fresh:
            found = roll_out(step, fresh, rollouts, settings, turn)
            scored_P = replace_empty(scored_P, found, settings)
    return scored_P


def spare_problems(
    step: int, turn: int, scored_P: list[ScoredGroup], spare: Batches, settings: TrainSettings
) -> list[Problem]:
    """What a round of dynamic sampling asks: as many new problems as groups have no signal."""
    num_empty = sum(not _teaches(scored, settings) for scored in scored_P)
    if not num_empty:
        return []
    present = {scored.group.problem.id for scored in scored_P}
    drawn = spare.batch(step * settings.grpo.dynamic_sampling + turn - 1)
    return [problem for problem in drawn if problem.id not in present][:num_empty]


def replace_empty(
    scored_P: list[ScoredGroup], found: list[ScoredGroup], settings: TrainSettings
) -> list[ScoredGroup]:
    """The batch with those found that have a signal in place of its groups without, in order."""
    useful = iter([scored for scored in found if _teaches(scored, settings)])
    return [scored if _teaches(scored, settings) else next(useful, scored) for scored in scored_P]


def _teaches(scored: ScoredGroup, settings: TrainSettings) -> bool:
    return has_signal(scored, settings.grpo, settings.sampling.max_new_tokens)
