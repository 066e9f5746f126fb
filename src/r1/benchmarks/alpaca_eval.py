"""AlpacaEval 2.0: 805 instructions, each answer against GPT-4-1106's; length-controlled win rate.

The judge sees the instruction and two answers, m and M, in an order that a hash of the instruction
draws, and replies with one letter. The preference for the model is its letter's share of the
probability of both (`r1.judge.first_token`). Where an endpoint gives no log-probabilities the
letter itself counts, 0 or 1, and the result tells of how many: that is another measure, 7 points
apart on one model's answers in the users' reports.

    win rate   = mean p                        p in [0, 1]; published files hold 1 + p
    discrete   = share of p > 1/2, and half of that of p = 1/2
    LC         = r1.benchmarks.judging.length_control, the headline

An instruction's difficulty belongs to its row in the original order, so rows are named by number.
A response without a summary loses (p = 0, length 0); one on which the judge failed is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1.benchmarks.judging.preferences import AlpacaRow, tally
from r1.benchmarks.judging.protocol import Judging, StoredResponse, Tally
from r1.benchmarks.protocol import (
    Benchmark,
    DataLayout,
    Item,
    Row,
    items,
    stages,
    table_4,
    text_of,
)
from r1.benchmarks.registry import register_benchmark
from r1.benchmarks.rows import csv_rows, parsed_json
from r1.data.rows import RowError, shown
from r1.files.regular import read_bytes
from r1.judge.prompt import DataBlock, JudgeTask
from r1.judge.verdict import Verdict
from r1.types import Problem

GPT_4 = "gpt-4-1106-preview"
FIRST, SECOND = LABELS = ("m", "M")
_OUTPUTS = "reference_gpt4_1106_preview_model_outputs.json"
_DIFFICULTY = "instruction_difficulty.csv"
_INSTRUCTIONS = (
    "Two language models were given the instruction above; their outputs are called m and M. Say "
    "which output most people would prefer as an answer to the instruction."
)


def is_swapped(problem: Problem) -> bool:
    """Whether the model's answer is shown first, as m: a fair coin by the instruction's hash."""
    return hashlib.sha256(problem.prompt.encode("utf-8", "replace")).digest()[0] % 2 == 1


def tasks(problem: Problem, summary: str) -> tuple[JudgeTask, ...]:
    """One comparison with the baseline's answer, the problem's metadata."""
    baseline = problem.metadata["baseline"]
    first, second = (summary, baseline) if is_swapped(problem) else (baseline, summary)
    data = (
        DataBlock("instruction", problem.prompt),
        DataBlock(f"output {FIRST}", first),
        DataBlock(f"output {SECOND}", second),
    )
    return (JudgeTask(_INSTRUCTIONS, LABELS, data, one_token=True),)


def preference(response: StoredResponse) -> float | None:
    """p: how much the judge prefers the model, in [0, 1]; None where it gave no verdict."""
    if response.unasked:
        return 0.0
    (found,) = response.found
    if not isinstance(found, Verdict):
        return None
    share = 1.0 if found.share is None else found.share
    of_second = share if found.label == SECOND else 1.0 - share
    return 1.0 - of_second if is_swapped(response.problem) else of_second


def outcome(response: StoredResponse) -> str:
    """Won is "correct", lost "wrong"."""
    if response.unasked:
        return response.unasked
    p = preference(response)
    if p is None:
        return "judge failed"
    return "tied" if p == 0.5 else "correct" if p > 0.5 else "wrong"


def figures(responses: Sequence[StoredResponse]) -> Tally:
    """The figures of `r1.benchmarks.judging.preferences`."""
    return tally([_row(response) for response in responses])


def _row(response: StoredResponse) -> AlpacaRow:
    problem, p = response.problem, preference(response)
    first = None
    if p is not None and not response.unasked:
        first = p if is_swapped(problem) else 1.0 - p
    lengths = len(problem.metadata["baseline"]), len(response.summary or "")
    return AlpacaRow(problem.id, p, *lengths, problem.metadata.get("difficulty"), first)


def _rows(path: Path) -> Iterator[Row]:
    try:
        found = parsed_json(path)
    except RowError as fault:
        yield path.stem, fault
        return
    if not isinstance(found, list):
        yield path.stem, RowError("a file of outputs is one list of objects")
        return
    for number, row in enumerate(found):
        told = row if isinstance(row, dict) else RowError(f"{shown(row)} is no object")
        yield str(number), told


def _difficulties(path: Path) -> dict[str, float]:
    """The difficulty by row number; an odd line is as if it were missing."""
    rows = (row for _, row in csv_rows(path.stem, read_bytes(path)))
    pairs = [(r.get("index"), r.get(path.stem)) for r in rows if not isinstance(r, RowError)]
    found = {}
    for index, value in pairs:
        try:
            found[str(int(str(index)))] = float(str(value))
        except ValueError:
            continue
    return found


def _problem(known: Mapping[str, float] | None, where: str, row: Mapping[str, Any]) -> Problem:
    instruction, baseline = text_of(row, "instruction"), text_of(row, "output")
    metadata: dict[str, Any] = {"baseline": baseline}
    if known is not None:
        if where not in known:
            raise RowError(f"row {where} has no difficulty in {_DIFFICULTY}")
        metadata["difficulty"] = known[where]
    family = row.get("dataset")
    named = family if isinstance(family, str) and family else "default"
    identity = f"alpaca_eval/{where}"
    return Problem(identity, instruction, None, "afterwards", family=named, metadata=metadata)


def _read(paths: list[list[Path]]) -> Iterator[Item]:
    known = _difficulties(paths[1][0]) if len(paths) > 1 else None
    return items(_rows(paths[0][0]), partial(_problem, known))


register_benchmark(
    Benchmark(
        name="alpaca_eval",
        title="AlpacaEval 2.0",
        measures="writing, against GPT-4-1106",
        num_questions=805,
        k=1,
        protocol="the bare instruction; a judge's preference by log-probabilities, one order",
        data="tatsu-lab/alpaca_eval: the baseline's outputs, and each row's difficulty",
        layouts=(
            DataLayout("AlpacaEval, length-controlled", (_OUTPUTS, _DIFFICULTY), _read),
            DataLayout("AlpacaEval, lengths not controlled", (_OUTPUTS,), _read, of_paper=False),
        ),
        metric="judged",
        judging=Judging(tasks, outcome, figures, first_token=True, papers=GPT_4),
        published=table_4(52.0, 51.1, 70.0, 57.8, 87.6) | stages(24.7, 50.1, 55.8, 62.1),
    )
)
