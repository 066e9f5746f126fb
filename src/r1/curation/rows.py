"""The columns of curated responses, and how a kept sample becomes a row.

`prompt` and `response` are what supervised fine-tuning reads, after the turns of `earlier` (JSON)
where the problem has such; thinking, summary and answer are the
response's parts; the rest says where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from r1.data.turns import written_earlier
from r1.types import Problem, Reward

_COLUMNS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "problem_id": pa.string(),
    "earlier": pa.string(),
    "prompt": pa.string(),
    "response": pa.string(),
    "thinking": pa.string(),
    "summary": pa.string(),
    "answer": pa.string(),
    "reference": pa.string(),
    "family": pa.string(),
    "language": pa.string(),
    "source": pa.string(),
    "origin": pa.string(),
    "sample": pa.int32(),
    "seed": pa.int64(),
    "num_tokens": pa.int32(),
    "reward": pa.float64(),
}
PART = "reward/"


@dataclass(frozen=True, slots=True)
class CuratedRow:
    """One curated response.

    source: the checkpoint or model that wrote it. origin: how it was made ("rejection",
    "few-shot", "direct", "r1-zero", "human"). num_tokens: as sampled, or None where no tokenizer
    counted. parts: the values of the reward's parts.
    """

    problem: Problem
    sample: int
    seed: int
    response: str
    thinking: str
    summary: str
    answer: str | None
    source: str
    origin: str
    num_tokens: int | None
    reward: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """The row as it is written."""
        problem = self.problem
        return {
            "id": f"{problem.id}/{self.sample}",
            "problem_id": problem.id,
            "earlier": written_earlier(problem.earlier),
            "prompt": problem.prompt,
            "response": self.response,
            "thinking": self.thinking,
            "summary": self.summary,
            "answer": self.answer,
            "reference": problem.reference,
            "family": problem.family,
            "language": problem.language,
            "source": self.source,
            "origin": self.origin,
            "sample": self.sample,
            "seed": self.seed,
            "num_tokens": self.num_tokens,
            "reward": self.reward,
            **{f"{PART}{name}": value for name, value in self.parts.items()},
        }


def row_schema(parts: Iterable[str]) -> pa.Schema:
    """The columns of a data set whose rewards have these parts."""
    fields = list(_COLUMNS.items())
    return pa.schema(fields + [(f"{PART}{name}", pa.float64()) for name in sorted(set(parts))])


def part_values(reward: Reward) -> dict[str, float]:
    """The values of a reward's parts."""
    return {name: score.value for name, score in reward.parts.items()}
