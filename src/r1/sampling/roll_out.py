"""Sample a batch and score it: requests, seeds, dynamic sampling.

Everything random follows from (seed, step, round, problem), so that a run that was killed samples
what one that was not would have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from r1.data.source import Batches
from r1.rollout.protocol import Engine
from r1.rollout.scored import Scorer, scored_groups
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.rollout.usage import Usage
from r1.template import PromptRenderer
from r1.types import GroupRequest, Problem, ScoredGroup


class Rollouts(NamedTuple):
    """Who samples and who judges; usage: counts how busy the engine's workers are."""

    engine: Engine
    scorer: Scorer
    renderer: PromptRenderer
    usage: Usage | None = None


class BatchSource(NamedTuple):
    """Where batches come from and how they are sampled.

    problems: of every step; spare: of dynamic sampling. teaches(group): whether an update would
    learn from it. rounds: of dynamic sampling, at most.
    """

    problems: Batches
    spare: Batches
    seed: int
    group_size: int
    sampling: SamplingSettings
    teaches: Callable[[ScoredGroup], bool]
    rounds: int = 0


def sample_batch(step: int, source: BatchSource, rollouts: Rollouts) -> list[ScoredGroup]:
    """The scored groups of a step, in the order of its problems; dynamic sampling included."""
    scored_P = roll_out(step, source.problems.batch(step), source, rollouts)
    for turn in range(1, source.rounds + 1):
        fresh = spare_problems(step, turn, scored_P, source)
        if fresh:
            found = roll_out(step, fresh, source, rollouts, turn)
            scored_P = replace_empty(scored_P, found, source)
    return scored_P


def roll_out(
    step: int, problems: list[Problem], source: BatchSource, rollouts: Rollouts, turn: int = 0
) -> list[ScoredGroup]:
    """Sample a group for every problem and score it; groups come back in the problems' order."""
    requests = [group_request(step, turn, problem, source, rollouts) for problem in problems]
    groups = scored_groups(rollouts.engine, rollouts.scorer, problems, requests, source.sampling)
    by_id = {scored.group.problem.id: scored for scored in groups}
    return [by_id[problem.id] for problem in problems]


def group_request(
    step: int, turn: int, problem: Problem, source: BatchSource, rollouts: Rollouts
) -> GroupRequest:
    """What an engine is asked for a problem; turn: 0, or the round of dynamic sampling."""
    seeds = tuple(
        sample_seed(source.seed, "train", step, turn, problem.id, g)
        for g in range(source.group_size)
    )
    return GroupRequest(
        problem.id, rollouts.renderer.encode(problem.prompt, problem.earlier), seeds
    )


def spare_problems(
    step: int, turn: int, scored_P: list[ScoredGroup], source: BatchSource
) -> list[Problem]:
    """The problems of a round of dynamic sampling (DAPO, 2503.14476): as many new ones as groups
    teach nothing; none where all teach, or where all spare problems are in the batch already.

    Each comes from the place of its group, or as near as there is one, so that a mixture's weights
    hold: batches have the sources one after the other.
    """
    empty = [place for place, scored in enumerate(scored_P) if not source.teaches(scored)]
    if not empty:
        return []
    present = {scored.group.problem.id for scored in scored_P}
    drawn = source.spare.batch(step * source.rounds + turn - 1)
    spare = {place: problem for place, problem in enumerate(drawn) if problem.id not in present}
    chosen: list[Problem] = []
    for place in empty[: len(spare)]:
        nearest = min(spare, key=lambda other: abs(other - place))
        chosen.append(spare.pop(nearest))
    return chosen


def replace_empty(
    scored_P: list[ScoredGroup], found: list[ScoredGroup], source: BatchSource
) -> list[ScoredGroup]:
    """The batch with found groups, in the order of `spare_problems`, in place of its groups that
    teach nothing; where the found one teaches nothing either, the old one stays."""
    rest = iter(found)

    def better(scored: ScoredGroup) -> ScoredGroup:
        new = next(rest, scored)
        return new if source.teaches(new) else scored

    return [scored if source.teaches(scored) else better(scored) for scored in scored_P]
