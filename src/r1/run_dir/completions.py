"""Completions and their judgements as one columnar table, one row per sample.

Columns: step, problem_id, family, language, prompt, reference, verifier (of the problem), sample
(its place in the group), text, thinking, answer, finish_reason, num_tokens, reward (the weighted
sum), valid, advantage, and for every part of the reward `reward/<part>`, `outcome/<part>`,
`detail/<part>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from r1.types import Completion, Problem, Reward, ScoredGroup

_COLUMNS: dict[str, pa.DataType] = {
    "step": pa.int32(),
    "problem_id": pa.string(),
    "family": pa.string(),
    "language": pa.string(),
    "prompt": pa.string(),
    "reference": pa.string(),
    "verifier": pa.string(),
    "sample": pa.int32(),
    "text": pa.string(),
    "thinking": pa.string(),
    "answer": pa.string(),
    "finish_reason": pa.string(),
    "num_tokens": pa.int32(),
    "reward": pa.float64(),
    "valid": pa.bool_(),
    "advantage": pa.float64(),
}


class ParsedResponse(Protocol):
    """The parts of a response by a template's parser; None for a missing part."""

    @property
    def thinking(self) -> str | None: ...

    @property
    def answer(self) -> str | None: ...


class _Row(NamedTuple):
    problem: Problem
    sample: int
    completion: Completion
    reward: Reward
    advantage: float | None


def completion_table(
    step: int,
    scored: Sequence[ScoredGroup],
    parse: Callable[[str], ParsedResponse],
    advantages: Sequence[Sequence[float | None]] | None = None,
) -> pa.Table:
    """Return one row per completion of `scored`, groups and samples in their order.

    parse: splits a response's text into thinking and answer.
    advantages: as `scored` and its rewards are nested; None for an evaluation, and None in it
        for a sample without one (no verdict).
    """
    rows = list(_rows(scored, advantages))
    parsed = [parse(row.completion.text) for row in rows]
    columns: dict[str, list[Any]] = {
        "step": [step] * len(rows),
        "problem_id": [_utf8(row.problem.id) for row in rows],
        "family": [_utf8(row.problem.family) for row in rows],
        "language": [_utf8(row.problem.language) for row in rows],
        "prompt": [_utf8(row.problem.dialogue) for row in rows],
        "reference": [_utf8(row.problem.reference) for row in rows],
        "verifier": [_utf8(row.problem.verifier) for row in rows],
        "sample": [row.sample for row in rows],
        "text": [_utf8(row.completion.text) for row in rows],
        "thinking": [_utf8(part.thinking) for part in parsed],
        "answer": [_utf8(part.answer) for part in parsed],
        "finish_reason": [row.completion.finish_reason for row in rows],
        "num_tokens": [len(row.completion.token_ids) for row in rows],
        "reward": [row.reward.total for row in rows],
        "valid": [row.reward.valid for row in rows],
        "advantage": [row.advantage for row in rows],
    }
    arrays = {name: pa.array(columns[name], type=kind) for name, kind in _COLUMNS.items()}
    return pa.table({**arrays, **_part_columns([row.reward for row in rows])})


def _rows(
    scored: Sequence[ScoredGroup], advantages: Sequence[Sequence[float | None]] | None
) -> Iterable[_Row]:
    for index, item in enumerate(scored):
        group = item.group
        for sample, (completion, reward) in enumerate(
            zip(group.completions, item.rewards, strict=True)
        ):
            advantage = None if advantages is None else advantages[index][sample]
            yield _Row(group.problem, sample, completion, reward, advantage)


def _part_columns(rewards: list[Reward]) -> dict[str, pa.Array]:
    """Return value, outcome and detail of every part; null if a row was not judged by it."""
    names = list(dict.fromkeys(name for reward in rewards for name in reward.parts))
    columns: dict[str, pa.Array] = {}
    for name in names:
        scores = [reward.parts.get(name) for reward in rewards]
        columns[f"reward/{name}"] = pa.array([s and s.value for s in scores], type=pa.float64())
        columns[f"outcome/{name}"] = pa.array([s and str(s.outcome) for s in scores], pa.string())
        columns[f"detail/{name}"] = pa.array([s and _utf8(s.detail) for s in scores], pa.string())
    return columns


def storable(text: str) -> str:
    """Return the text with '?' for lone surrogates, which JSON allows in a prompt."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _utf8(text: str | None) -> str | None:
    return None if text is None else storable(text)
