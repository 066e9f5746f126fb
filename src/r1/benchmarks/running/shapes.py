"""Shapes of what `r1 bench run` wrote and others read: the folder may come from another person."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from annotated_types import Len
from typing_extensions import TypedDict

from r1.benchmarks.protocol import Metric
from r1.files.shapes import open_shape
from r1.run_dir.shapes import Bounds

CapPoint = Annotated[list[float], Len(2, 2)]
"""A limit of tokens, and the score at it."""


class WholeInterval(TypedDict):
    """A score; none of its figures is left out."""

    value: float
    low: float
    high: float


@open_shape
class PartScore(TypedDict):
    """A part of the questions."""

    num_questions: int
    score: WholeInterval | None


@open_shape
class ContestScores(TypedDict):
    """What a model reached in contests under one way of counting."""

    beaten: float
    rating: float


@open_shape
class FurtherFigures(TypedDict, total=False):
    """What one benchmark alone has."""

    told: list[str]
    by_scoring: dict[str, ContestScores]


@open_shape
class UsedSampling(TypedDict):
    """How responses were drawn."""

    max_new_tokens: int


@open_shape
class NamedJudge(TypedDict):
    """How a judge was asked."""

    model: str


@open_shape
class JudgeRates(TypedDict):
    """What a reader must know of the judge."""

    requests: int
    failed: float
    parse_rate: float | None
    position_consistency: float | None
    tokens_in: int
    tokens_out: int
    cost: float | None
    reasons: dict[str, int]
    sampling: NamedJudge
    by_logprobs: NotRequired[float | None]


@open_shape
class StoredResult(TypedDict):
    """benchmark.json"""

    model: str
    title: str
    protocol: str
    layout: str
    metric: Metric
    k: int
    num_questions: int
    num_found: int
    mean_tokens: float
    refused: dict[str, int]
    departures: list[str]
    begins_with_think: bool
    score: WholeInterval | None
    outcomes: dict[str, float]
    sampling: UsedSampling
    cons_at_k: NotRequired[Bounds | None]
    parts: NotRequired[dict[str, dict[str, PartScore]] | None]
    further: NotRequired[FurtherFigures | None]
    judge: NotRequired[JudgeRates | None]
    figures: NotRequired[dict[str, float | None]]
    counts: NotRequired[dict[str, float]]
    caps: NotRequired[list[CapPoint] | None]
    by_question: NotRequired[dict[str, float | None]]


Result = dict[str, Any]
"""A StoredResult, whose further fields are its own."""
