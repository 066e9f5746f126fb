"""Grow branches by a step, many problems in one batch, and say what they are worth.

A step is sampled up to its separator, which stays a part of it, or up to `step_tokens`, or to the
response's end. A stop string of the sampling ends a response as it ends a whole sample, also where
it spans two steps or holds the separator.

The embedded engine keeps the prompts of a search (r1.rollout.prefixes), so that a branch's own last
step is computed, once for all of its next steps; another engine computes the prompt and the branch
again (`SearchCost.prefilled` counts what was computed).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from r1.rollout.protocol import Engine, KeptPrefixes
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.rollout.text import cut_at, decode
from r1.search.protocol import Branch, EndJudge, SearchCost, StepScorer
from r1.search.settings import SearchSettings
from r1.steps.aggregate import aggregate
from r1.steps.split import BLANK_LINE, LINE
from r1.template import Earlier
from r1.types import Completion, GroupRequest

STOPS = {LINE: "\n", BLANK_LINE: "\n\n"}


class SearchedProblem(NamedTuple):
    """A problem as a search sees it. prompt, earlier: what the scorer reads, and the turns before
    it; seed: decides its samples."""

    id: str
    prompt: str
    prompt_ids: tuple[int, ...]
    seed: int
    earlier: Earlier = ()


class GrownBranch(NamedTuple):
    """A next step's branch. draws: how many gave its text."""

    branch: Branch
    draws: int


class TokenizedEngine(Engine, Protocol):
    """An engine whose tokens can be turned into text."""

    @property
    def tokenizer(self) -> Any:
        """Its model's tokenizer."""


class Grower:
    """Samples next steps and scores branches; counts what both cost.

    room(problem): most tokens of a response to it. judge: values branches that have ended; None:
    the scorer does. kept: what the engine keeps of prompts, where it does.
    """

    def __init__(
        self,
        engine: TokenizedEngine,
        scorer: StepScorer,
        settings: SearchSettings,
        sampling: SamplingSettings,
        room: Callable[[SearchedProblem], int],
        judge: EndJudge | None = None,
        kept: KeptPrefixes | None = None,
    ) -> None:
        self.engine, self.scorer, self.settings = engine, scorer, settings
        self.sampling, self.room, self.judge, self.kept = sampling, room, judge, kept
        self.separator = STOPS.get(settings.separator, settings.separator)

    def grow(
        self, asked: Sequence[tuple[SearchedProblem, Branch, int]], costs: dict[str, SearchCost]
    ) -> list[list[GrownBranch]]:
        """Draw next steps of (problem, branch, number of the draw), as many as
        `settings.expansions`, equal ones merged; in the order of what is asked.

        Where a step could exceed the response's limit it is drawn shorter, in a call of its own.
        """
        by_limit: dict[int, list[int]] = {}
        for place, (problem, branch, _) in enumerate(asked):
            left = self.room(problem) - len(branch.token_ids)
            by_limit.setdefault(min(self.settings.step_tokens, left), []).append(place)
        grown: list[list[GrownBranch]] = [[] for _ in asked]
        for limit, places in sorted(by_limit.items(), reverse=True):
            sampling = self.sampling.model_copy(
                update={"max_new_tokens": limit, "stop": (*self.sampling.stop, self.separator)}
            )
            requests = [self._request(place, *asked[place]) for place in places]
            for request, completions in self.engine.generate(requests, sampling):
                place = int(request.id)
                problem, branch, _ = asked[place]
                cost = costs[problem.id]
                reused = self.kept.reused.get(request.id, 0) if self.kept is not None else 0
                cost.prefilled += len(request.prompt_ids) - reused
                cost.generated += sum(len(c.token_ids) for c in completions)
                longer = [self._longer(problem, branch, c) for c in completions]
                grown[place] = _merged(longer)
        return grown

    def values(
        self, branches: Sequence[tuple[SearchedProblem, Branch]], costs: dict[str, SearchCost]
    ) -> list[float]:
        """What branches are worth, in their order."""
        found = self._judged(branches)
        places = [place for place in range(len(branches)) if place not in found]
        steps = self.score([branches[place] for place in places], costs)
        rule = self.settings.aggregate
        found |= {place: aggregate(each, rule) for place, each in zip(places, steps, strict=True)}
        return [found[place] for place in range(len(branches))]

    def _judged(self, branches: Sequence[tuple[SearchedProblem, Branch]]) -> dict[int, float]:
        """The values, by their places, of branches that a rule judges."""
        places = [p for p, (_, branch) in enumerate(branches) if branch.ended is not None]
        if self.judge is None or not places:
            return {}
        problems = [branches[place][0].id for place in places]
        ends = [branches[place][1] for place in places]
        judged = zip(places, self.judge.judge_ends(problems, ends), strict=True)
        return {place: value for place, value in judged if value is not None}

    def score(
        self, branches: Sequence[tuple[SearchedProblem, Branch]], costs: dict[str, SearchCost]
    ) -> list[list[float]]:
        """The probabilities of branches' steps, in their order; what a model reads is counted."""
        prompts = [problem.prompt for problem, _ in branches]
        earlier = [problem.earlier for problem, _ in branches]
        found = self.scorer.score_steps(prompts, [branch.text for _, branch in branches], earlier)
        if self.settings.scored_by_model:
            for problem, branch in branches:
                costs[problem.id].scored += len(problem.prompt_ids) + len(branch.token_ids)
        return found

    def _request(
        self, place: int, problem: SearchedProblem, branch: Branch, draw: int
    ) -> GroupRequest:
        seeds = (
            sample_seed(problem.seed, "step", draw, n) for n in range(self.settings.expansions)
        )
        return GroupRequest(str(place), (*problem.prompt_ids, *branch.token_ids), tuple(seeds))

    def _longer(self, problem: SearchedProblem, branch: Branch, step: Completion) -> Branch:
        token_ids = (*branch.token_ids, *step.token_ids)
        text = decode(self.engine.tokenizer, token_ids)
        rest = decode(self.engine.tokenizer, step.token_ids)[len(step.text) :]
        ended: Any = None
        stopped = self._stopped(branch, step, rest)
        if stopped is not None:
            (token_ids, text), ended = stopped, "stop"
        elif step.finish_reason == "stop" and not rest.startswith(self.separator):
            ended, text = "stop", text.removesuffix(rest)
        elif len(token_ids) >= self.room(problem):
            ended = "length"
        logprobs = (*branch.logprobs, *step.logprobs)[: len(token_ids)]
        return Branch(token_ids, logprobs, text, ended, step.version)

    def _stopped(
        self, branch: Branch, step: Completion, rest: str
    ) -> tuple[tuple[int, ...], str] | None:
        """A branch's next step up to the first of the sampling's stop strings: the tokens that
        complete it, the text before it. None where the response holds none.

        A step is sampled apart, so that the engine sees neither a stop string across its border,
        nor whether its separator begins or is one. rest: what ended the step, if it was stopped.
        """
        stop, tokenizer = self.sampling.stop, self.engine.tokenizer
        token_ids = (*branch.token_ids, *step.token_ids)
        if step.finish_reason == "stop" and not rest.startswith((self.separator, *stop)):
            token_ids = token_ids[:-1]  # an end token, which is no text
        if not stop or cut_at(decode(tokenizer, token_ids), stop) is None:
            return None
        for num in range(len(branch.token_ids) + 1, len(token_ids) + 1):
            text = cut_at(decode(tokenizer, token_ids[:num]), stop)
            if text is not None:
                return token_ids[:num], text
        return None


def _merged(branches: Sequence[Branch]) -> list[GrownBranch]:
    """Branches of equal text and ending as one, in the order of their first draw."""
    found: dict[tuple[str, str | None], GrownBranch] = {}
    for branch in branches:
        key = (branch.text, branch.ended)
        first, draws = found.get(key, GrownBranch(branch, 0))
        found[key] = GrownBranch(first, draws + 1)
    return list(found.values())
