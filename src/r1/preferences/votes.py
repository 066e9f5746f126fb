"""Pairs made by a judge: several votes in random order, a margin, comparable lengths.

    score of a vote = how much better the first response is, turned round where it stood second
    kept            where |mean score over the votes| > margin and the lengths are comparable

The paper's helpfulness model learns from 66,000 such pairs: four votes, each with the order of A
and B at random, a mean of more than 1 on Arena-Hard's scale (A>>B = 2 … B>>A = −2), and chosen and
rejected responses of comparable length.

The judge is a callable, `compare(prompt, a, b, vote)`; with r1.judge:

    def compare(prompt, a, b, vote):
        found = judge.submit(comparison_tasks(prompt, a, b)[0], vote).result()
        return getattr(found, "label", None)

vote counts the votes on one pair: a judge that keeps its replies must take it into account, or
equal questions get one reply many times.

Left out on purpose: asking in both orders equally often (`Judge.compare` does), and rankings.
"""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pydantic import Field

from r1.config import Settings
from r1.preferences.types import Pair

LABELS = {"A>>B": 2.0, "A>B": 1.0, "A=B": 0.0, "B>A": -1.0, "B>>A": -2.0}
REASONS = ("empty", "equal", "length", "no verdict", "margin")


class Compare(Protocol):
    """One vote: by how much a is the better answer (a number, or a label), or None for none."""

    def __call__(self, prompt: str, a: str, b: str, vote: int) -> float | str | None: ...


class VoteSettings(Settings):
    """Which judged pairs are kept; the defaults are the paper's where it gives them."""

    votes: int = Field(
        4, ge=1, description="judgements of each pair (in a random order) or response"
    )
    margin: float = Field(
        1.0,
        ge=0.0,
        description="a pair is kept where its mean score, from -2 to 2, is further from 0",
    )
    max_length_ratio: float = Field(
        2.0, ge=1.0, description="length of the longer response over that of the shorter, at most"
    )
    min_valid_votes: int = Field(
        1, ge=1, description="judgements with a verdict that a pair or response needs"
    )
    seed: int = Field(0, ge=0, description="decides which response of a pair is shown first")


class MakingSettings(VoteSettings):
    """Which judged pairs are kept, and how many are judged side by side."""

    concurrency: int = Field(16, ge=1, description="pairs that are judged at the same time")


class Candidate(NamedTuple):
    """Two responses to one prompt, of which nobody knows yet which is better."""

    prompt: str
    first: str
    second: str
    language: str = ""
    family: str = ""


@dataclass(slots=True)
class MakingCounts:
    """What became of the candidates. dropped: reason -> number, every reason of REASONS there.

    position: sum of the scores of whatever stood first, over `votes` votes with a verdict; its
    mean is the judge's bias for the first place.
    """

    candidates: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(REASONS, 0)))
    votes: int = 0
    votes_without_verdict: int = 0
    position: float = 0.0
    chosen_length: int = 0
    rejected_length: int = 0

    def card(self) -> dict[str, float]:
        """The data card: counts by reason, the judge's position bias, mean lengths."""
        kept = max(1, self.kept)
        return {
            "candidates": self.candidates,
            "kept": self.kept,
            **{f"dropped: {reason}": number for reason, number in self.dropped.items()},
            "votes": self.votes,
            "votes without verdict": self.votes_without_verdict,
            "position bias": self.position / max(1, self.votes),
            "mean length of chosen": self.chosen_length / kept,
            "mean length of rejected": self.rejected_length / kept,
        }


class _Judged(NamedTuple):
    """Scores for the candidate's first response, and for whatever stood first in the question."""

    scores: list[float]
    position: float
    failed: int


def make_pairs(
    candidates: Iterable[Candidate],
    compare: Compare,
    settings: MakingSettings,
    counts: MakingCounts,
    length: Callable[[str], int] = len,
) -> Iterator[Pair]:
    """Yield the pairs worth learning from, in the candidates' order; counts is filled meanwhile.

    length measures a response (characters unless told otherwise). A pair whose lengths differ too
    much, or that is empty or equal, is dropped before the judge is paid. At most
    settings.concurrency candidates are read ahead. What compare raises, this raises.
    """
    with ThreadPoolExecutor(settings.concurrency) as threads:
        waiting: deque[tuple[Candidate, Future[_Judged]]] = deque()
        try:
            for candidate in candidates:
                counts.candidates += 1
                reason = unfit(candidate, settings, length)
                if reason is not None:
                    counts.dropped[reason] += 1
                    continue
                waiting.append((candidate, threads.submit(_judge, candidate, compare, settings)))
                if len(waiting) >= settings.concurrency:
                    yield from _settle(*_take(waiting), settings, counts, length)
            while waiting:
                yield from _settle(*_take(waiting), settings, counts, length)
        finally:
            for _, future in waiting:
                future.cancel()


def unfit(
    candidate: Candidate, settings: VoteSettings, length: Callable[[str], int] = len
) -> str | None:
    """Why a pair is not worth a judge's time: one of "empty", "equal", "length"; None: it is."""
    first, second = candidate.first.strip(), candidate.second.strip()
    if not first or not second:
        return "empty"
    if first == second:
        return "equal"
    short, long = sorted((length(first), length(second)))
    return "length" if long > settings.max_length_ratio * short else None


def _judge(candidate: Candidate, compare: Compare, settings: MakingSettings) -> _Judged:
    scores, position, failed = [], 0.0, 0
    for vote in range(settings.votes):
        turned = is_swapped(candidate, vote, settings.seed)
        a, b = candidate.first, candidate.second
        found = compare(candidate.prompt, b if turned else a, a if turned else b, vote)
        score = LABELS.get(found) if isinstance(found, str) else found
        if score is None:
            failed += 1
            continue
        position += score
        scores.append(-score if turned else score)
    return _Judged(scores, position, failed)


def is_swapped(candidate: Candidate, vote: int, seed: int) -> bool:
    """Whether the second response stands first in this vote: a coin that depends on the pair, the
    vote and the seed alone."""
    text = "\0".join((candidate.prompt, candidate.first, candidate.second, str(vote), str(seed)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 1


def preference(scores: Sequence[float], settings: VoteSettings) -> float | str:
    """The mean score of a pair's first response, or why nothing follows from the votes:
    "no verdict" or "margin"."""
    if len(scores) < settings.min_valid_votes:
        return "no verdict"
    mean = statistics.fmean(scores)
    return mean if abs(mean) > settings.margin else "margin"


def _take(
    waiting: deque[tuple[Candidate, Future[_Judged]]],
) -> tuple[Candidate, _Judged]:
    candidate, future = waiting[0]
    judged = future.result()
    waiting.popleft()
    return candidate, judged


def _settle(
    candidate: Candidate,
    judged: _Judged,
    settings: MakingSettings,
    counts: MakingCounts,
    length: Callable[[str], int],
) -> Iterator[Pair]:
    counts.votes += len(judged.scores)
    counts.votes_without_verdict += judged.failed
    counts.position += judged.position
    mean = preference(judged.scores, settings)
    if isinstance(mean, str):
        counts.dropped[mean] += 1
        return
    better, worse = candidate.first, candidate.second
    if mean < 0:
        better, worse = worse, better
    counts.kept += 1
    counts.chosen_length += length(better)
    counts.rejected_length += length(worse)
    yield Pair(candidate.prompt, better, worse, abs(mean), candidate.language, candidate.family)
