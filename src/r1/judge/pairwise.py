"""Compare two answers: five labels, both orders, several votes.

    margin of a vote: A>>B 2, A>B 1, A=B 0, B>A −1, B>>A −2, turned round in the second order
    margin = mean over all votes in [−2, 2];  score = (margin + 2) / 4 in [0, 1]

Judges favour a position; asking in both orders equally often takes that out of the margin and
measures it. The paper draws the order at random over four votes and keeps pairs whose mean margin
exceeds 1 (66,000 pairs for the helpfulness model): votes = 2 gives four votes with balanced
orders. The five labels are Arena-Hard's (arXiv 2406.11939); the words of the prompt are our own.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from r1.judge.asker import NoVerdict
from r1.judge.prompt import DataBlock, JudgeTask
from r1.judge.verdict import Verdict

MARGINS = {"A>>B": 2, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -2}

_INSTRUCTIONS = (
    "You are an impartial expert. Two assistants answered the question; decide whose answer "
    "serves the person who asked better.\n"
    "- First think of how you would answer, then look for mistakes in each.\n"
    "- Correctness comes first, then whether everything asked for is there and nothing needless, "
    "then clarity. Length, confidence, politeness and the order of the answers count for nothing.\n"
    "- The verdicts mean: A>>B answer A is much better; A>B slightly better; A=B about the same; "
    "B>A answer B is slightly better; B>>A much better."
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The sum of the votes on two answers; all figures are None without a valid pair of votes.

    margin: mean preference for the first answer, in [-2, 2]. score: the same in [0, 1].
    consistency: share of vote pairs whose two orders prefer the same answer (or none).
    position_bias: mean preference for the answer in the first position, in [-2, 2].
    num_pairs: vote pairs with a valid vote in both orders; the others are left out whole, since
        one order alone would be biased.
    forward, backward: the votes with the first answer as A, and with it as B.
    """

    margin: float | None
    score: float | None
    consistency: float | None
    position_bias: float | None
    num_pairs: int
    forward: tuple[Verdict | NoVerdict, ...]
    backward: tuple[Verdict | NoVerdict, ...]


def comparison_tasks(question: str, first: str, second: str) -> tuple[JudgeTask, JudgeTask]:
    """Return the task in both orders."""

    def task(a: str, b: str) -> JudgeTask:
        data = (DataBlock("question", question), DataBlock("answer A", a), DataBlock("answer B", b))
        return JudgeTask(_INSTRUCTIONS, tuple(MARGINS), data)

    return task(first, second), task(second, first)


def summarise_pair(
    forward: Sequence[Verdict | NoVerdict], backward: Sequence[Verdict | NoVerdict]
) -> Comparison:
    """Sum up votes; forward[i] and backward[i] are one pair."""
    pairs = [
        (MARGINS[forth.label], -MARGINS[back.label])
        for forth, back in zip(forward, backward, strict=True)
        if isinstance(forth, Verdict) and isinstance(back, Verdict)
    ]
    if not pairs:
        return Comparison(None, None, None, None, 0, tuple(forward), tuple(backward))
    margin = statistics.fmean(value for pair in pairs for value in pair)
    return Comparison(
        margin=margin,
        score=(margin + 2.0) / 4.0,
        consistency=statistics.fmean(_sign(forth) == _sign(back) for forth, back in pairs),
        position_bias=statistics.fmean((forth - back) / 2.0 for forth, back in pairs),
        num_pairs=len(pairs),
        forward=tuple(forward),
        backward=tuple(backward),
    )


def first_preferred(label: str) -> float:
    """Return 1 where a label prefers the answer that was read first, 0 the second, 1/2 for none."""
    return (1.0 + _sign(MARGINS[label])) / 2.0


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
