"""Evaluate a policy: k samples per problem, judged and summarised.

    problems -> requests -> engine -> groups -> scorer -> votes -> figures

The same line as training up to the rewards, with other settings: T = 0.6, top-p 0.95 (the paper's
protocol). Scoring overlaps with generation. A sample's seed follows from (seed, problem id, place
in the group) alone, so that the figures depend neither on the order of the problems nor on k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from r1.evaluation.estimators import NO_VOTE
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.summary import ACCURACY, JudgedProblem, judge, require_accuracy, summarise
from r1.rewards.accuracy import answer_source
from r1.rewards.reading import read_answer
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import Engine
from r1.rollout.scored import GroupScorer, scored_groups
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.template import Renderer
from r1.types import GroupRequest, Outcome, Problem, ScoredGroup


class VotingScorer(GroupScorer, Protocol):
    """A scorer that can also group equal answers: `r1.rewards.pool.RewardPool`."""

    settings: RewardSettings

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """Number the answers so that equal ones share a number; -1 for None."""


class JudgedGroup(NamedTuple):
    """A scored group with its votes: votes[g] numbers the answer of sample g, -1 for none."""

    scored: ScoredGroup
    votes: list[int]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation of one set of weights: judged[p] and groups[p] belong to problem p."""

    step: int
    judged: list[JudgedProblem]
    groups: list[ScoredGroup]
    sampling: SamplingSettings
    seed: int

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON values: the content of `evaluations/step-N.json`."""
        drawn = describe(self.sampling, self.seed)
        return summarise(self.judged, step=self.step, sampling=drawn, seed=self.seed)


def evaluate(
    engine: Engine,
    scorer: VotingScorer,
    renderer: Renderer,
    problems: Sequence[Problem],
    settings: EvaluationSettings,
    *,
    training: SamplingSettings | None = None,
    step: int = 0,
    on_problem: Callable[[JudgedProblem], None] = lambda judged: None,
) -> Evaluation:
    """Measure the engine's current weights on the problems.

    training: the sampling of the run's rollouts, for the limit and stop strings it shares.
    on_problem: called as each problem is judged, in the order they end.
    Raises UserError where a prompt does not fit the model's context.
    """
    sampling = settings.sampling(training or SamplingSettings())
    by_id: dict[str, tuple[JudgedProblem, ScoredGroup]] = {}
    for scored, votes in judge_groups(engine, scorer, renderer, problems, settings, sampling):
        judged = judge(scored, votes)
        by_id[judged.problem_id] = (judged, scored)
        on_problem(judged)
    ordered = [by_id[problem.id] for problem in problems]
    judged_problems = [judged for judged, _ in ordered]
    groups = [scored for _, scored in ordered]
    return Evaluation(step, judged_problems, groups, sampling, settings.seed)


def judge_groups(
    engine: Engine,
    scorer: VotingScorer,
    renderer: Renderer,
    problems: Sequence[Problem],
    settings: EvaluationSettings,
    sampling: SamplingSettings,
) -> Iterator[JudgedGroup]:
    """Sample and judge every problem; yield each group as soon as it is judged, in that order.

    The engine has the requests when this returns. Raises UserError where accuracy is not among the
    rewards of any of the problems.
    """
    weights_of = scorer.settings.weights_of
    require_accuracy({name for problem in problems for name in weights_of(problem.family)})
    requests = [make_request(problem, renderer, settings) for problem in problems]
    form = PromptForm(opened=renderer.opens_think, stop=sampling.stop)
    groups = scored_groups(engine, scorer, problems, requests, sampling)
    return (JudgedGroup(scored, count_votes(scorer, scored, form)) for scored in groups)


def count_votes(scorer: VotingScorer, scored: ScoredGroup, form: PromptForm) -> list[int]:
    """Number the equal answers of a group; -1 for a response without an answer.

    Equality is the problem's own verifier's ("1/2" votes with "0.5" in mathematics), asked in the
    scorer's workers, since comparing symbols may hang. Without an accuracy reward there are no
    votes.
    """
    problem = scored.group.problem
    if any(ACCURACY not in reward.parts for reward in scored.rewards):
        return [NO_VOTE] * len(scored.rewards)
    source = answer_source(problem, find_verifier(problem.verifier), scorer.settings)
    answers = [
        None
        if reward.parts[ACCURACY].outcome == Outcome.UNPARSEABLE
        else read_answer(completion, source, form)
        for completion, reward in zip(scored.group.completions, scored.rewards, strict=True)
    ]
    return scorer.group_answers(problem, answers)


def make_request(
    problem: Problem, renderer: Renderer, settings: EvaluationSettings
) -> GroupRequest:
    """Return the request for a problem's k samples."""
    seeds = (
        sample_seed(settings.seed, "evaluate", problem.id, g) for g in range(settings.num_samples)
    )
    return GroupRequest(
        problem.id, tuple(renderer.encode(problem.prompt, problem.earlier)), tuple(seeds)
    )


def describe(sampling: SamplingSettings, seed: int) -> dict[str, Any]:
    """Return how the samples were drawn, for the summary."""
    return {**sampling.model_dump(mode="json"), "seed": seed}
