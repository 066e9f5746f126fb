"""Arena-Hard v0.1: 500 hard prompts of users, each answer against GPT-4-0314's, in both orders.

A judge compares the two answers twice with the sides swapped (`r1.judge.pairwise`: five labels, as
the original has them). In the first game the baseline is A.

    each game is a battle; "much better" counts three times, a tie half
    score = weighted share of battles won           (r1.benchmarks.judging.bradley_terry)

Against one opponent this is the Bradley-Terry win rate that the original fits. A game on which the
judge failed is left out; a response without a summary loses both games as much worse. Left out:
style control, whose coefficients need other models' battles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.judging.games import outcome, tally
from r1.benchmarks.judging.protocol import Judging
from r1.benchmarks.protocol import Benchmark, DataLayout, Item, items, stages, table_4, text_of
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import json_lines
from r1.data.rows import RowError
from r1.judge.pairwise import comparison_tasks
from r1.judge.prompt import JudgeTask
from r1.types import Problem

BASELINE = "gpt-4-0314"


def tasks(problem: Problem, summary: str) -> tuple[JudgeTask, ...]:
    """Both games: the baseline as A, then as B."""
    return comparison_tasks(problem.prompt, problem.metadata["baseline"], summary)


def _answers(path: Path) -> dict[str, str]:
    """The baseline's last message by question; an odd line is as if it were missing."""
    found = {}
    for _, row in json_lines(path):
        if isinstance(row, RowError) or not isinstance(row.get("messages"), list):
            continue
        last = row["messages"][-1] if row["messages"] else None
        content = last.get("content") if isinstance(last, dict) else None
        answer = content.get("answer") if isinstance(content, dict) else content
        if isinstance(answer, str) and answer.strip():
            found[str(row.get("uid"))] = answer
    return found


def _problem(answers: Mapping[str, str], where: str, row: Mapping[str, Any]) -> Problem:
    identity, prompt = text_of(row, "uid"), text_of(row, "prompt")
    if identity not in answers:
        raise RowError(f"question {identity} has no answer of {BASELINE}")
    cluster = row.get("cluster")
    family = cluster if isinstance(cluster, str) and cluster else "default"
    metadata = {"baseline": answers[identity]}
    name = f"arena_hard/{identity}"
    return Problem(name, prompt, None, "afterwards", family=family, metadata=metadata)


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    return items(json_lines(paths[0][0]), partial(_problem, _answers(paths[1][0])))


register_benchmark(
    Benchmark(
        name="arena_hard",
        title="Arena-Hard",
        measures="hard prompts, against GPT-4-0314",
        num_questions=500,
        k=1,
        protocol="the bare prompt; a judge compares in both orders, five labels",
        data=f"lmarena/arena-hard-auto: data/arena-hard-v0.1, with the answers of {BASELINE}",
        layouts=(
            DataLayout(
                "Arena-Hard v0.1",
                ("v0.1/question.jsonl", f"v0.1/model_answer/{BASELINE}.jsonl"),
                _read,
            ),
            DataLayout(
                "Arena-Hard v0.1, the hub's folders",
                (
                    "data/arena-hard-v0.1/question.jsonl",
                    f"data/arena-hard-v0.1/model_answer/{BASELINE}.jsonl",
                ),
                _read,
            ),
        ),
        metric="judged",
        judging=Judging(tasks, outcome, tally, papers="gpt-4-1106-preview"),
        published=table_4(85.2, 80.4, 85.5, 92.0, 92.3) | stages(53.6, 77.0, 73.2, 75.6),
    )
)
