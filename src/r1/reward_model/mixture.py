"""Reward models beside a reward pool: rules in the workers, models here or in servers, one sum.

    pool = RewardPool(recipe.rewards, form)
    models = load_reward_models(recipe.reward_models, base_folder, form)    # in this process
    scorer = with_reward_models(pool, models)
    # the loop takes `scorer` where it took the pool

The pool's workers begin with a group at once, and so do servers (r1.cluster.ray_rewards). A model
in this process judges it when its rewards are asked for, in the caller's thread: the paper's order
too (a pass for the reward models after generation, while rule-based rewards are computed beside it;
section B.1). Nothing so depends on when a group ends.

    total = sum of weight x value over the pool's rewards and the models that judge the problem

A model judges the families its recipe names, from its `from_step` on (the paper: preference rewards
only in the last 400 of 1,700 steps); a step is known by the completions' version. The parts carry
the models' names, so that curves, tables and the browser show them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from r1.errors import SettingError, UserError
from r1.reward_model.card import find_reward_model, read_card
from r1.reward_model.score import RewardModelScorer, check_use
from r1.reward_model.settings import RewardModelUse
from r1.rewards.combine import PoolCounts, combine
from r1.rewards.names import reward_names
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rollout.scored import ScoreHandle, Scores
from r1.types import Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup


class CompletionScorer(Protocol):
    """A reward model, wherever it computes."""

    @property
    def use(self) -> RewardModelUse:
        """What the recipe says of it."""

    def submit_group(self, group: RolloutGroup) -> Scores:
        """Hand over a group; its result is asked for once, from any thread."""


class MixedHandle:
    """A group on its way: the pool's scores first, then the models'."""

    def __init__(
        self, mixture: MixedRewards, handle: ScoreHandle, asked: Mapping[str, Scores]
    ) -> None:
        """asked: the models that judge the group, by name."""
        self._mixture = mixture
        self._handle = handle
        self._asked = asked
        self._scored: ScoredGroup | None = None

    def done(self) -> bool:
        """True where result() would not wait for a worker or a server; models in this process may
        still have to score."""
        return self._handle.done() and all(scores.done() for scores in self._asked.values())

    def cancel(self) -> None:
        """Drop the group if no worker has begun to score it; what models score is not used."""
        self._handle.cancel()

    def result(self) -> ScoredGroup:
        """Wait for the pool and the models, and return the sums."""
        if self._scored is None:
            scored = self._handle.result()
            columns = {name: scores.result() for name, scores in self._asked.items()}
            self._scored = self._mixture.add_columns(scored, columns)
        return self._scored


class MixedRewards:
    """A pool and reward models as one scorer (r1.rollout.scored.Scorer; evaluation's, too).

    settings: the pool's.
    """

    def __init__(self, pool: RewardPool, models: Mapping[str, CompletionScorer]) -> None:
        self.pool = pool
        self.settings: RewardSettings = pool.settings
        self.models = dict(models)
        self._counting = threading.Lock()  # the sampling thread counts, the loop's takes
        self._outcomes: Counter[tuple[str, Outcome]] = Counter()

    def weights_of(self, family: str) -> dict[str, float]:
        """The weight of every part that problems of a family may have."""
        own = {name: model.use.weight for name, model in self.models.items()}
        return {**self.settings.weights_of(family), **own}

    def submit_group(self, group: RolloutGroup) -> MixedHandle:
        """Hand a group to the pool's workers and to the models that judge it; blocks while too
        many wait."""
        handle = self.pool.submit_group(group)
        judging = {name: model for name, model in self.models.items() if _judges(model.use, group)}
        asked = {name: model.submit_group(group) for name, model in judging.items()}
        return MixedHandle(self, handle, asked)

    def add_columns(
        self, scored: ScoredGroup, columns: Mapping[str, Sequence[Score]]
    ) -> ScoredGroup:
        """The same group with the models' scores, by name, among the parts and in the totals."""
        if not columns:
            return scored
        group = scored.group
        weights = self.weights_of(group.problem.family)
        rewards: list[Reward] = []
        for sample, reward in enumerate(scored.rewards):
            parts = {**reward.parts, **{name: found[sample] for name, found in columns.items()}}
            rewards.append(combine(parts, weights))
            with self._counting:
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
        with self._counting:
            found, self._outcomes = self._outcomes, Counter()
        counts.outcomes.update(found)
        return counts


def check_reward_models(models: Mapping[str, RewardModelUse], base_folder: Path) -> None:
    """Raise UserError, before anything starts, for a name that is taken, a missing model, or a
    use that does not fit it."""
    taken = reward_names() if models else []
    for name, use in models.items():
        if name in taken:
            raise SettingError(
                f"reward_models.{name}: a reward has this name already; take another."
            )
        try:
            check_use(use, read_card(find_reward_model(use.path, base_folder)))
        except UserError as refusal:
            raise SettingError(f"reward_models.{name}.path = {use.path!r}: {refusal}") from None


def load_reward_models(
    models: Mapping[str, RewardModelUse], base_folder: Path, form: PromptForm | None = None
) -> dict[str, RewardModelScorer]:
    """A recipe's reward models in this process.

    Raises UserError as check_reward_models and RewardModelScorer.load do.
    """
    check_reward_models(models, base_folder)
    return {name: RewardModelScorer.load(use, base_folder, form) for name, use in models.items()}


def with_reward_models(
    pool: RewardPool, models: Mapping[str, CompletionScorer]
) -> RewardPool | MixedRewards:
    """The pool with reward models beside it; the pool itself where there are none."""
    return MixedRewards(pool, models) if models else pool


def _judges(use: RewardModelUse, group: RolloutGroup) -> bool:
    """Whether the recipe has a model judge this group: by its family and the policy's age."""
    if not group.completions or (use.families and group.problem.family not in use.families):
        return False
    return min(completion.version for completion in group.completions) >= use.from_step
