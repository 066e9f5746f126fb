"""An evaluation that can be killed: problems are evaluated in blocks, one file each.

A block is sampled, judged, and written as one Parquet file (the completions' table with the votes).
A killed evaluation repeats only its unfinished block. A block's samples depend on that block alone,
so the figures are those of an uninterrupted evaluation, to the last digit on one machine.

    out/request.json          what is evaluated; another request is refused
    out/blocks/*.parquet      the completions with their judgements
    out/evaluation.json       the figures, written last

The price of blocks is an engine that runs empty at each one's end; with BLOCK_SAMPLES samples in
a block it is small beside starting again. Several engines have further blocks in their queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from r1.config import dump
from r1.errors import UserError
from r1.evaluation.run import JudgedGroup
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.summary import JudgedProblem, judged_from_rows
from r1.files.shapes import read_json
from r1.rollout.engine_pool import calls_ahead, capacity
from r1.rollout.protocol import Engine
from r1.rollout.settings import SamplingSettings
from r1.run_dir import atomic, completion_table, lock
from r1.run_dir.atomic import hash_of
from r1.run_dir.completions import ParsedResponse
from r1.run_dir.evaluation import BLOCKS, REQUEST
from r1.run_dir.foreign import held_in, refuse_foreign
from r1.run_dir.stored import iterate_judged, read_columns
from r1.types import FAILED, Problem

BLOCK_SAMPLES = 1024
_ENDED = "finish_reason"

OnProblem = Callable[[JudgedProblem], None]


class BlockPlan(NamedTuple):
    """The problems to evaluate, and how."""

    problems: Sequence[Problem]
    settings: EvaluationSettings
    sampling: SamplingSettings
    step: int = 0


class Step(NamedTuple):
    """How a table's rows are made: the step they name, and the parser of responses."""

    number: int
    parse: Callable[[str], ParsedResponse]


Call = Mapping[Path, Sequence[Problem]]
"""Blocks that are sampled together, by their files. No two of its problems have one id."""

Begin = Callable[[Call], Iterator[JudgedGroup]]
"""Begins a call: its groups, in any order. The engine has the requests when it returns."""


class _OpenCall(NamedTuple):
    """A call in progress."""

    blocks: Call
    groups: Iterator[JudgedGroup]


def claim(out: Path, request: Mapping[str, Any]) -> None:
    """Make `out` the folder of this request, locked until `lock.release`.

    Raises UserError for a folder that holds another evaluation, or something else, or that another
    process evaluates into; such a folder is left untouched.
    """
    request = dict(request)
    _is_new(out, request)
    with atomic.writing(out):
        atomic.make_folder(out)
        (out / BLOCKS).mkdir(parents=True, exist_ok=True)
        lock.acquire(out)
    if _is_new(out, request):
        atomic.write_json(out / REQUEST, request)


def is_whole(path: Path) -> bool:
    """Whether a block is there, with every response: one that never came is asked for again."""
    if not path.is_file():
        return False
    return not pc.any(pc.equal(read_columns(path, [_ENDED])[_ENDED], FAILED)).as_py()


def block_samples() -> int:
    """Return the number of samples in a block."""
    return BLOCK_SAMPLES


def cut(
    problems: Sequence[Problem], num_samples: int, folder: Path, name: str
) -> dict[Path, Sequence[Problem]]:
    """Group problems by the file of their block, BLOCK_SAMPLES samples each."""
    size = max(1, BLOCK_SAMPLES // num_samples)
    parts = [problems[i : i + size] for i in range(0, len(problems), size)]
    return {folder / f"{name}-{i:05d}.parquet": part for i, part in enumerate(parts)}


def write_calls(
    calls: Sequence[Call],
    begin: Begin,
    engine: Engine,
    step: Step,
    on_group: Callable[[JudgedGroup], None],
) -> Iterator[Call]:
    """Judge the blocks of calls and write each as a table with the votes, problems in order.

    Several engines have further calls in their queue. on_group: called for every group, as it is
    judged. Yields each call when its blocks are written.
    """
    ahead = calls_ahead(capacity(engine), BLOCK_SAMPLES)
    begun: deque[_OpenCall] = deque()
    for call in calls:
        begun.append(_OpenCall(call, begin(call)))
        if len(begun) > ahead:
            yield _end(begun.popleft(), step, on_group)
    while begun:
        yield _end(begun.popleft(), step, on_group)


def request_of(plan: BlockPlan, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an evaluation asks, as JSON values: it resumes only if this is unchanged."""
    return {
        **identity,
        "step": plan.step,
        "settings": dump(plan.settings),
        "sampling": dump(plan.sampling),
        "block_samples": BLOCK_SAMPLES,
        "problems": hash_of([asdict(problem) for problem in plan.problems]),
        "num_problems": len(plan.problems),
    }


def by_content(described: Any) -> Any:
    """Return JSON values without the paths of what has a hash: a model may be moved."""
    if not isinstance(described, Mapping):
        return described
    hashed = described.get("sha256") is not None
    return {k: by_content(v) for k, v in described.items() if not (hashed and k == "source")}


def _is_new(out: Path, request: dict[str, Any]) -> bool:
    """Whether the request must be written into `out`. Raises UserError if `out` holds another
    request."""
    held = held_in(out, "the evaluation")
    before = read_json(out / REQUEST)
    if before is not None:
        asked, held_there = by_content(request), by_content(before)
        differ = [
            key for key in asked.keys() | held_there.keys() if asked.get(key) != held_there.get(key)
        ]
        if differ and any((out / BLOCKS).glob("*.parquet")):
            raise UserError(
                f"{out} holds another evaluation (other {', '.join(sorted(differ))}). Nothing was "
                "touched; give a new folder (--out), or the same model, problems and settings as "
                "before."
            )
        return bool(differ)  # that one measured nothing
    others = [path for path in held if path.name != BLOCKS]
    refuse_foreign(out, others, "not an evaluation")
    return True


def _end(call: _OpenCall, step: Step, on_group: Callable[[JudgedGroup], None]) -> Call:
    by_id = {}
    for group in call.groups:
        by_id[group.scored.group.problem.id] = group
        on_group(group)
    for path, problems in call.blocks.items():
        ordered = [by_id[problem.id] for problem in problems]
        table = completion_table(step.number, [group.scored for group in ordered], step.parse)
        votes_of_rows = [vote for group in ordered for vote in group.votes]
        table = table.append_column("vote", pa.array(votes_of_rows, type=pa.int32()))
        atomic.write_file(path, partial(pq.write_table, table, compression="zstd"))
    return call.blocks


def read_block(path: Path) -> list[JudgedProblem]:
    """Return a block's judged problems, in their order."""
    return judged_from_rows(iterate_judged(path))
