"""Whole responses as a search: drawn at once, then scored. What best-of-N and voting choose from.

A response that never came (FAILED) is a candidate without a score: no verdict, asked for again.

Left out on purpose: scoring with the engine's own log-probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

from r1.rollout.protocol import FinishedGroup
from r1.search.growth import Grower, SearchedProblem
from r1.search.protocol import Branch, Ending, Proposal, SearchCost, SearchResult
from r1.steps.aggregate import aggregate
from r1.types import FAILED, Completion


def score_groups(
    problems: Sequence[SearchedProblem], groups: Sequence[FinishedGroup], grower: Grower
) -> dict[str, SearchResult]:
    """Score sampled groups, whose requests have the problems' ids, in their order."""
    costs = {problem.id: SearchCost() for problem in problems}
    by_id = {group.request.id: group.completions for group in groups}
    branches = [
        (problem, _branch(completion)) for problem in problems for completion in by_id[problem.id]
    ]
    for problem, branch in branches:
        costs[problem.id].generated += len(branch.token_ids)
    for problem in problems:
        costs[problem.id].prefilled += len(problem.prompt_ids)
    scored = iter(grower.score([each for each in branches if each[1].ended != FAILED], costs))
    rule = grower.settings.aggregate
    found = {problem.id: SearchResult(cost=costs[problem.id]) for problem in problems}
    for problem, branch in branches:
        steps = () if branch.ended == FAILED else tuple(next(scored))
        proposal = Proposal(branch, aggregate(steps, rule), steps=steps)
        found[problem.id].candidates.append(proposal)
    return found


def _branch(completion: Completion) -> Branch:
    return Branch(
        tuple(completion.token_ids),
        tuple(completion.logprobs),
        completion.text,
        _ending(completion.finish_reason),
        completion.version,
    )


def _ending(finish_reason: str) -> Ending:
    if finish_reason == FAILED:
        return FAILED
    return "stop" if finish_reason == "stop" else "length"
