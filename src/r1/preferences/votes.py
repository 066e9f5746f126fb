"""Pairs made by a judge: several votes in random order, a margin, comparable lengths.

    score of a vote = how much better the first response is, turned round where it stood second
    kept            where |mean score over the votes| > margin and the lengths are comparable

The paper's helpfulness model learns from 66,000 such pairs: four votes, each with the order of A
and B at random, a mean of more than 1 on Arena-Hard's scale (A>>B = 2 … B>>A = −2), and chosen and
rejected responses of comparable length.

Left out on purpose: asking in both orders equally often (`Judge.compare` does), and rankings.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pydantic import Field

from r1.config import Settings

LABELS = {"A>>B": 2.0, "A>B": 1.0, "A=B": 0.0, "B>A": -1.0, "B>>A": -2.0}


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


class Candidate(NamedTuple):
    """Two responses to one prompt, of which nobody knows yet which is better."""

    prompt: str
    first: str
    second: str
    language: str = ""
    family: str = ""


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
