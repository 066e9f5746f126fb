"""The final choice among a search's candidates, by every rule, and what each would have got right.

    any           pass@N: one of them is right, the ceiling
    mean          pass@1: what a candidate gets right on average
    majority      the answer that most candidates give
    best          the highest score
    weighted      the answer with the largest sum of scores
    followed      mcts: the end of the most visited children

Equal answers are equal by the verifier (`vote`), never by string. A candidate without an answer
(vote -1) counts among the N and is never chosen by score or vote. Ties go to the earliest one.

Figures of N whole samples out of more are means over the disjoint sets of N, in their order: each
sample is used once, so that nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from r1.search.settings import SearchSettings
from r1.steps.scorers import CONSTANT

NO_VOTE = -1
WHOLE = ("best_of_n", "vote")
"""The methods whose candidates are whole samples: fewer of them are a smaller search."""
RIVALS = ("best", "weighted")
"""Rules that a scorer decides; majority, which needs none, is what they are to beat."""


class JudgedCandidate(NamedTuple):
    """A candidate as it was judged."""

    correct: bool
    vote: int
    score: float = 0.0
    followed: bool = False
    tokens: int = 0


Candidates = Sequence[JudgedCandidate]


def choose_best(candidates: Candidates) -> JudgedCandidate | None:
    """Return the candidate with the highest score among those with an answer."""
    answered = [each for each in candidates if each.vote != NO_VOTE]
    return max(answered, key=lambda each: each.score, default=None)


def choose_majority(candidates: Candidates) -> JudgedCandidate | None:
    """Return the first candidate with the most frequent answer; None without an answer."""
    return _voted(candidates, lambda each: 1.0)


def choose_weighted(candidates: Candidates) -> JudgedCandidate | None:
    """Return the first candidate with the answer of the largest sum of scores."""
    return _voted(candidates, lambda each: each.score)


def choose_followed(candidates: Candidates) -> JudgedCandidate | None:
    """Return the end of the most visited children; None where that has not ended."""
    return next((each for each in candidates if each.followed), None)


def _voted(
    candidates: Candidates, weight: Callable[[JudgedCandidate], float]
) -> JudgedCandidate | None:
    sums: dict[int, float] = {}
    first: dict[int, JudgedCandidate] = {}
    for each in candidates:
        if each.vote != NO_VOTE:
            sums[each.vote] = sums.get(each.vote, 0.0) + weight(each)
            first.setdefault(each.vote, each)
    if not sums:
        return None
    return first[max(sums, key=lambda vote: sums[vote])]


def any_correct(candidates: Candidates) -> float:
    """Return 1 where one of them is right."""
    return float(any(each.correct for each in candidates))


def mean_correct(candidates: Candidates) -> float:
    """Return the share that is right; 0 of none."""
    return sum(each.correct for each in candidates) / max(1, len(candidates))


def _right(
    choose: Callable[[Candidates], JudgedCandidate | None],
) -> Callable[[Candidates], float]:
    def figure(candidates: Candidates) -> float:
        chosen = choose(candidates)
        return float(chosen is not None and chosen.correct)

    return figure


CHOICES: dict[str, Callable[[Candidates], JudgedCandidate | None]] = {
    "majority": choose_majority,
    "best": choose_best,
    "weighted": choose_weighted,
    "followed": choose_followed,
}
"""The rules that choose one candidate."""
FIGURES: dict[str, Callable[[Candidates], float]] = {
    "any": any_correct,
    "mean": mean_correct,
    **{name: _right(choose) for name, choose in CHOICES.items()},
}
"""What a rule gets right of one problem, 0 to 1."""


def sets_of(candidates: Candidates, num: int) -> list[Candidates]:
    """Return the disjoint sets of `num` candidates, in order; what is left over is left out."""
    return [candidates[i : i + num] for i in range(0, len(candidates) - num + 1, num)]


def figure_of_sets(name: str, candidates: Candidates, num: int) -> float:
    """Return a rule's mean over the disjoint sets of `num` candidates."""
    sets = sets_of(candidates, num)
    return sum(FIGURES[name](each) for each in sets) / len(sets)


def rules_of(settings: SearchSettings) -> list[str]:
    """Return the rules of choice that mean something for a search."""
    if settings.ends == "rule":  # the scores have seen the answers
        return [name for name in FIGURES if name not in (*RIVALS, "followed")]
    rules = [name for name in FIGURES if name != "followed" or settings.method == "mcts"]
    if settings.scorer in (None, CONSTANT) and settings.method in WHOLE:
        return [name for name in rules if name not in RIVALS]
    return rules
