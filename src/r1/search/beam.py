"""Guided beam search, step by step, many problems in lock-step.

    keep N branches -> draw M next steps of each -> score -> keep the best N of all -> ...

Finished branches stay in the pool and compete for the N places: what is kept narrows as they fill
it. With `subtrees` the beams are independent parts that never compete, one beam each being DVTS
(diverse verifier tree search). A search ends when what is kept has finished, or at the budget.

The candidates are all finished branches, dropped ones too; those left unfinished only where
nothing has finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from r1.search.growth import Grower, SearchedProblem
from r1.search.protocol import Branch, Proposal, SearchCost, SearchResult


@dataclass(slots=True)
class _Subtree:
    """The branches kept, with their scores, and every finished branch."""

    kept: list[Proposal]
    finished: list[Proposal] = field(default_factory=list)

    @property
    def live(self) -> list[Branch]:
        return [found.branch for found in self.kept if found.branch.ended is None]

    def take(self, children: Sequence[Proposal], num: int) -> None:
        """Keep the best of the children and of what had finished among the kept."""
        ended = [found for found in self.kept if found.branch.ended is not None]
        self.finished += [found for found in children if found.branch.ended is not None]
        pool = _distinct([*ended, *children])
        self.kept = sorted(pool, key=lambda found: -found.score)[:num]


def beam_search(problems: Sequence[SearchedProblem], grower: Grower) -> dict[str, SearchResult]:
    """Search all problems; what was found by their ids."""
    settings = grower.settings
    width = settings.beams // settings.subtrees
    costs = {problem.id: SearchCost() for problem in problems}
    trees = {problem.id: [_Subtree([Proposal(Branch(), 0.0)]) for _ in range(settings.subtrees)]
             for problem in problems}  # fmt: skip
    draw = 0
    while True:
        under = [
            (problem, subtree)
            for problem in problems
            if settings.budget is None or costs[problem.id].generated < settings.budget
            for subtree in trees[problem.id]
            if subtree.live
        ]
        if not under:
            break
        _grow_once(under, grower, costs, width, draw)
        draw += 1
    return {
        problem.id: SearchResult(_candidates(trees[problem.id]), costs[problem.id])
        for problem in problems
    }


def _grow_once(
    under: Sequence[tuple[SearchedProblem, _Subtree]],
    grower: Grower,
    costs: dict[str, SearchCost],
    width: int,
    draw: int,
) -> None:
    """Draw the next step of every live branch, and keep the best."""
    asked, owners = [], []
    numbers: dict[str, Iterator[int]] = {}
    for index, (problem, subtree) in enumerate(under):
        number = numbers.setdefault(problem.id, iter(range(draw << 20, (draw + 1) << 20)))
        for branch in subtree.live:
            asked.append((problem, branch, next(number)))
            owners.append(index)
    grown = grower.grow(asked, costs)
    children = [
        (index, child.branch) for index, found in zip(owners, grown, strict=True) for child in found
    ]
    scored = [(under[index][0], branch) for index, branch in children]
    values = grower.values(scored, costs)
    by_subtree: list[list[Proposal]] = [[] for _ in under]
    for (index, branch), value in zip(children, values, strict=True):
        by_subtree[index].append(Proposal(branch, value))
    for (_, subtree), found in zip(under, by_subtree, strict=True):
        subtree.take(found, width)


def _distinct(pool: Sequence[Proposal]) -> list[Proposal]:
    """One candidate for each text: equal ones would waste places."""
    return list({found.branch.text: found for found in reversed(pool)}.values())[::-1]


def _candidates(subtrees: Sequence[_Subtree]) -> list[Proposal]:
    finished = [found for subtree in subtrees for found in subtree.finished]
    return finished or [found for subtree in subtrees for found in subtree.kept]
