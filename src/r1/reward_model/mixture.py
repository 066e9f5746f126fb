"""Reward models beside a reward pool: rules in the workers, models in this process, one sum.

    pool = RewardPool(recipe.rewards, form)
    scorer = with_reward_models(pool, recipe.reward_models, base_folder, form)
    # the loop takes `scorer` where it took the pool

The pool's workers begin with a group at once; the models judge it when its rewards are asked for,
in the caller's thread: the paper's order too (a pass for the reward models after generation, while
rule-based rewards are computed beside it; section B.1). Nothing so depends on when a group ends.

    total = sum of weight x value over the pool's rewards and the models that judge the problem

A model judges the families its recipe names, from its `from_step` on (the paper: preference rewards
only in the last 400 of 1,700 steps); a step is known by the completions' version. The parts carry
the models' names, so that curves, tables and the browser show them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from r1.errors import UserError
from r1.reward_model.card import find_reward_model, read_card
from r1.reward_model.score import RewardModelScorer, check_use
from r1.reward_model.settings import RewardModelUse
from r1.rewards.combine import PoolCounts, combine
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm, reward_names
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Reward, RolloutGroup, ScoredGroup


class _Handle(Protocol):
    def done(self) -> bool: ...

    def result(self) -> ScoredGroup: ...


class MixedHandle:
    """A group on its way: the pool's scores first, then the models'."""

    def __init__(self, mixture: MixedRewards, handle: _Handle) -> None:
        self._mixture = mixture
        self._handle = handle
        self._scored: ScoredGroup | None = None

    def done(self) -> bool:
        """True where result() would not wait for a worker (the models may still have to run)."""
        return self._handle.done()

    def result(self) -> ScoredGroup:
        """Wait for the pool, run the models, and return the sums."""
        if self._scored is None:
            self._scored = self._mixture.add_models(self._handle.result())
        return self._scored


class MixedRewards:
    """A pool and reward models as one scorer (r1.rollout.scored.Scorer; evaluation's, too).

    settings: the pool's.
    """

    def __init__(self, pool: RewardPool, models: Mapping[str, RewardModelScorer]) -> None:
        self.pool = pool
        self.settings: RewardSettings = pool.settings
        self.models = dict(models)
        self._outcomes: Counter[tuple[str, Outcome]] = Counter()

    def weights_of(self, family: str) -> dict[str, float]:
        """The weight of every part that problems of a family may have."""
        own = {name: model.use.weight for name, model in self.models.items()}
        return {**self.settings.weights_of(family), **own}

    def submit_group(self, group: RolloutGroup) -> MixedHandle:
        """Hand a group to the pool's workers; blocks while too many wait."""
        return MixedHandle(self, self.pool.submit_group(group))

    def score_groups(self, groups: Sequence[RolloutGroup]) -> list[ScoredGroup]:
        """Score groups that are all there already; same order."""
        handles = [self.submit_group(group) for group in groups]
        return [handle.result() for handle in handles]

    def add_models(self, scored: ScoredGroup) -> ScoredGroup:
        """The same group with the models' scores among the parts and in the totals."""
        group = scored.group
        active = {name: model for name, model in self.models.items() if _judges(model, group)}
        if not active or not group.completions:
            return scored
        weights = self.weights_of(group.problem.family)
        columns = {name: model.score_group(group) for name, model in active.items()}
        rewards: list[Reward] = []
        for sample, reward in enumerate(scored.rewards):
            parts = {**reward.parts, **{name: found[sample] for name, found in columns.items()}}
            rewards.append(combine(parts, weights))
            self._outcomes.update((name, parts[name].outcome) for name in columns)
        return ScoredGroup(group, rewards)

    def vote_groups(self, group: RolloutGroup) -> list[int]:
        """The pool's: number each completion's answer."""
        return self.pool.vote_groups(group)

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """The pool's: number the answers so that equal ones share a number."""
        return self.pool.group_answers(problem, answers)

    def take_counts(self) -> PoolCounts:
        """Outcomes since the last call, the models' among them."""
        counts = self.pool.take_counts()
        counts.outcomes.update(self._outcomes)
        self._outcomes = Counter()
        return counts


def check_reward_models(models: Mapping[str, RewardModelUse], base_folder: Path) -> None:
    """Raise UserError, before anything starts, for a name that is taken, a missing model, or a
    use that does not fit it."""
    taken = reward_names() if models else []
    for name, use in models.items():
        if name in taken:
            raise UserError(f"reward_models.{name}: a reward has this name already; take another.")
        check_use(use, read_card(find_reward_model(use.path, base_folder)))


def with_reward_models(
    pool: RewardPool,
    models: Mapping[str, RewardModelUse],
    base_folder: Path,
    form: PromptForm | None = None,
) -> RewardPool | MixedRewards:
    """The pool with a recipe's reward models beside it; the pool itself where there are none.

    Raises UserError as check_reward_models and RewardModelScorer.load do.
    """
    if not models:
        return pool
    check_reward_models(models, base_folder)
    loaded = {name: RewardModelScorer.load(use, base_folder, form) for name, use in models.items()}
    return MixedRewards(pool, loaded)


def _judges(model: RewardModelScorer, group: RolloutGroup) -> bool:
    versions = [completion.version for completion in group.completions]
    return model.judges(group.problem) and min(versions, default=0) >= model.use.from_step
