"""What a search is made of: branches, who scores them, what it finds and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from r1.template import Earlier
from r1.types import Completion

Ending = Literal["stop", "length", "failed"]
"""As a completion's finish_reason; FAILED (r1.types) of a whole sample that never came."""


class StepScorer(Protocol):
    """Says how likely the steps of responses are right; a process reward model does."""

    def score_steps(
        self, prompts: Sequence[str], responses: Sequence[str], earlier: Sequence[Earlier] = ()
    ) -> list[list[float]]:
        """Return a probability for every step of every response, which may be unfinished.

        earlier: the turns before each prompt; () where none has any.
        """


@dataclass(frozen=True, slots=True)
class Branch:
    """A response, or the beginning of one. ended: how, None where it may go on.

    text: without the end token or stop string.
    """

    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    text: str = ""
    ended: Ending | None = None
    version: int = 0

    def completion(self) -> Completion:
        """The branch as a completion; one that was left unfinished was cut."""
        ended = self.ended or "length"
        return Completion(list(self.token_ids), list(self.logprobs), self.text, ended, self.version)


@dataclass(slots=True)
class SearchCost:
    """Tokens a problem: generated (thrown-away branches included), prefilled (prompts and prefixes,
    where the engine had to compute them) and scored (what a reward model read)."""

    generated: int = 0
    prefilled: int = 0
    scored: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "generated": self.generated,
            "prefilled": self.prefilled,
            "scored": self.scored,
        }


class EndJudge(Protocol):
    """Says what finished responses are worth by their problems' rules."""

    def judge_ends(self, problems: Sequence[str], ends: Sequence[Branch]) -> list[float | None]:
        """Return 1 where an end is right, 0 where it is not, None where nobody knows.

        problems: by id, one for each end.
        """


class Proposal(NamedTuple):
    """A response that a search proposes. score: what its scorer says of it; visits: of its node in
    a tree, 1 elsewhere; followed: reached by the most visited child at every node; steps: the
    probabilities that the score is made of, of whole responses; node: its place in the result's
    tree."""

    branch: Branch
    score: float
    visits: int = 1
    followed: bool = False
    steps: tuple[float, ...] = ()
    node: int | None = None


@dataclass(slots=True)
class SearchResult:
    """What a search found for a problem. tree: its nodes as JSON values, parents first."""

    candidates: list[Proposal] = field(default_factory=list)
    cost: SearchCost = field(default_factory=SearchCost)
    tree: list[dict[str, Any]] = field(default_factory=list)
