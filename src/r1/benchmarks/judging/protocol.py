"""How a judge's verdicts on stored responses become outcomes and figures.

    response -> summary (after the last </think>) -> tasks -> judge -> verdicts -> outcome, tally

A judge sees the summary alone. Without one nothing is asked: the response is unfinished (the
thinking never ended) or unreadable (nothing follows it, or more than MAX_ANSWER_CHARS), and counts
as not right. Where the judge gives no verdict the response counts neither way, and the rate is
told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from r1.intervals import Interval
from r1.judge.ask import MAX_ANSWER_CHARS
from r1.judge.asker import NoVerdict
from r1.judge.prompt import JudgeTask
from r1.judge.verdict import Verdict
from r1.types import Problem

OUTCOMES = (
    "correct",
    "wrong",
    "not attempted",
    "tied",
    "unreadable",
    "unfinished",
    "judge failed",
    "verifier failed",
    "engine failed",
)
"""A comparison that is won is "correct", one that is lost "wrong". The verifier's is of the
other benchmarks, and never occurs: all results have their outcomes."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A stored response and what the judge said of it.

    summary: what follows the thinking, without white space at its ends; None where it never ended.
    cut: the token limit ended the response. found: an entry for each task; none if none was asked.
    failed: the response never came, and is in no tally. num_tokens: of the whole response.
    """

    problem: Problem
    sample: int
    summary: str | None
    cut: bool = False
    found: tuple[Verdict | NoVerdict, ...] = ()
    failed: bool = False
    num_tokens: int = 0

    def cut_at(self, cap: int) -> StoredResponse:
        """The response as a token limit of `cap` would have left it: a longer one is unfinished."""
        if self.num_tokens <= cap:
            return self
        return replace(self, summary=None, cut=True, found=())

    @property
    def unasked(self) -> str | None:
        """The outcome of a response that the judge is not asked about; None for another."""
        if self.failed:
            return "engine failed"
        if self.summary is None or (not self.summary and self.cut):
            return "unfinished"
        return "unreadable" if not 0 < len(self.summary) <= MAX_ANSWER_CHARS else None


class Tally(NamedTuple):
    """The figures of a benchmark, shares in [0, 1]. score: the headline, None where nothing was
    judged. figures: further ones by name. position_consistency: of pairs judged in both orders,
    those whose orders agree; None where one order is asked. counts: numbers that are no shares.
    departures: where the score is not the paper's figure."""

    score: Interval | None
    figures: dict[str, float | None]
    position_consistency: float | None = None
    counts: Mapping[str, float] = MappingProxyType({})
    departures: tuple[str, ...] = ()


class Judging(NamedTuple):
    """The judged part of a benchmark.

    tasks: what is asked of a summary, in order. outcome: the one of OUTCOMES that a response has.
    tally: the figures of all responses. first_token: the tasks are read by log-probabilities.
    papers: the judge of the published figures, "" where the paper names none.
    """

    tasks: Callable[[Problem, str], tuple[JudgeTask, ...]]
    outcome: Callable[[StoredResponse], str]
    tally: Callable[[Sequence[StoredResponse]], Tally]
    first_token: bool = False
    papers: str = ""


def by_question(responses: Sequence[StoredResponse]) -> dict[str, list[StoredResponse]]:
    """The responses by their problem's id, in the order of the problems."""
    grouped: dict[str, list[StoredResponse]] = {}
    for response in responses:
        grouped.setdefault(response.problem.id, []).append(response)
    return grouped
