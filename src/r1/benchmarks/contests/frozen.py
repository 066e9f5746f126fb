"""A contest, frozen: its problems' points and its rated competitors' results and old ratings.

    {"contest_id": 2040, "name": "...", "type": "CF", "start": "2024-11-25",
     "duration_minutes": 120,
     "problems": [{"index": "A", "points": 500}, ...],
     "competitors": [[points, penalty, old rating], ...]}              in the order of the standings

Names of competitors are not kept: nothing here needs them. `freeze.py` makes one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from typing_extensions import TypedDict

from r1.errors import UserError
from r1.files.shapes import made_of, read_json
from r1.run_dir import atomic

Kind = Literal["CF", "ICPC"]


@dataclass(frozen=True)
class ContestProblem:
    """A problem of a contest; points: of its full solution at once, unused in an ICPC contest."""

    index: str
    points: float


@dataclass(frozen=True)
class FrozenContest:
    """A contest. type: CF counts points, ICPC solved problems, then minutes; start: a date.

    competitors: points, penalty and rating before the contest of each, shape (N, 3).
    """

    contest_id: int
    name: str
    type: Kind
    start: str
    duration_minutes: float
    problems: tuple[ContestProblem, ...]
    competitors: npt.NDArray[np.float64]


class _ProblemShape(TypedDict):
    index: str
    points: float


class _FileShape(TypedDict):
    contest_id: int
    name: str
    type: Kind
    start: str
    duration_minutes: float
    problems: list[_ProblemShape]
    competitors: list[list[float]]


def is_contest(path: Path) -> bool:
    """Whether a file is a frozen contest."""
    try:
        read_contest(path)
    except UserError:
        return False
    return True


def read_contest(path: Path) -> FrozenContest:
    """Read a frozen contest. Raises UserError with file, field and remedy."""
    again = "freeze the contest again with `r1 bench freeze`."
    told: _FileShape | None = read_json(path, shape=_FileShape)
    if told is None:
        raise UserError(f"{path} is not there; {again}")
    rows = told["competitors"]
    if len(rows) < 2 or any(len(row) != 3 for row in rows):
        raise UserError(
            f"{path}: competitors: two at least are needed, each a list of points, penalty and old "
            f"rating; {again}"
        )
    if not told["problems"] or not told["duration_minutes"] > 0:
        raise UserError(f"{path}: problems and duration_minutes must not be empty or 0; {again}")
    return FrozenContest(
        told["contest_id"],
        told["name"],
        told["type"],
        told["start"],
        told["duration_minutes"],
        tuple(made_of(ContestProblem, problem) for problem in told["problems"]),
        np.array(rows, dtype=np.float64),
    )


def write_contest(path: Path, contest: FrozenContest) -> None:
    """Write a frozen contest, a competitor a line."""
    told = asdict(contest)
    rows = ",\n".join(json.dumps(row) for row in told.pop("competitors").tolist())
    head = json.dumps(told, ensure_ascii=False, indent=1)[:-2]
    atomic.write_text(path, f'{head},\n "competitors": [\n{rows}\n ]\n}}\n')
