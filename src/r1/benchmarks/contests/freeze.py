"""Freeze a contest from the public API's answers, saved as files: nothing is downloaded here.

    contest.standings       {"status": "OK", "result": {"contest", "problems", "rows"}}
    contest.ratingChanges   {"status": "OK", "result": [{"handle", "oldRating", ...}, ...]}

Kept are the competitors whose rating the contest changed, in the order of the standings, with their
result in the contest: rows of practice, of virtual participation and out of competition, which may
be of the same handles and stand before, are left out and counted. A rating
before the first contest is 0 there: such a competitor counts with 1400, the rating that the site
assumes (since May 2020; in older contests it was 1500, and was shown).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

import numpy as np
from typing_extensions import TypedDict

from r1.benchmarks.contests.frozen import ContestProblem, FrozenContest
from r1.errors import UserError
from r1.files.shapes import open_shape, read_json

NEWCOMER = 1400.0
_IN_IT = "CONTESTANT"
"""The participantType of who took part in the contest itself."""


@open_shape
class _Contest(TypedDict):
    id: int
    name: str
    type: str
    durationSeconds: int
    startTimeSeconds: NotRequired[int]


@open_shape
class _Problem(TypedDict):
    index: str
    points: NotRequired[float]


@open_shape
class _Member(TypedDict):
    handle: str


@open_shape
class _Party(TypedDict):
    members: list[_Member]
    participantType: NotRequired[str]


@open_shape
class _StandingsRow(TypedDict):
    party: _Party
    points: float
    penalty: float


@open_shape
class _Standings(TypedDict):
    contest: _Contest
    problems: list[_Problem]
    rows: list[_StandingsRow]


@open_shape
class _Change(TypedDict):
    handle: str
    oldRating: float


@open_shape
class _Answer(TypedDict, total=False):
    status: str
    comment: str
    result: Any


@open_shape
class _StandingsFile(TypedDict):
    result: _Standings


@open_shape
class _ChangesFile(TypedDict):
    result: list[_Change]


class Frozen(NamedTuple):
    """A contest, and how many of its competitors were newcomers, or rated but not in the rows.

    num_left_out: rows of the standings that are no result of the contest itself.
    """

    contest: FrozenContest
    num_newcomers: int
    num_missing: int
    num_left_out: int


def freeze(standings: Path, changes: Path) -> Frozen:
    """Join standings and rating changes. Raises UserError for files that are no pair."""
    told = _result(standings, _StandingsFile, "contest.standings")
    old = {
        change["handle"]: change["oldRating"]
        for change in _result(changes, _ChangesFile, "contest.ratingChanges")
    }
    num_newcomers = sum(rating == 0 for rating in old.values())
    head = told["contest"]
    if head["type"] not in ("CF", "ICPC"):
        raise UserError(f"{standings}: a contest of type {head['type']} cannot be rated.")
    in_contest = [
        row for row in told["rows"] if row["party"].get("participantType", _IN_IT) == _IN_IT
    ]
    rows = [
        [row["points"], row["penalty"], old.pop(members[0]["handle"]) or NEWCOMER]
        for row in in_contest
        if len(members := row["party"]["members"]) == 1 and members[0]["handle"] in old
    ]
    if len(rows) < 2:
        raise UserError(
            f"{standings}: {len(rows)} of its competitors are in {changes}; give both files of one "
            "rated contest, with all rows."
        )
    start = datetime.fromtimestamp(head.get("startTimeSeconds", 0), UTC).date().isoformat()
    contest = FrozenContest(
        head["id"],
        head["name"],
        "ICPC" if head["type"] == "ICPC" else "CF",
        start,
        head["durationSeconds"] / 60,
        tuple(ContestProblem(p["index"], p.get("points", 0.0)) for p in told["problems"]),
        np.array(rows, dtype=np.float64),
    )
    return Frozen(contest, num_newcomers, len(old), len(told["rows"]) - len(in_contest))


def _result(path: Path, shape: type, method: str) -> Any:
    said = read_json(path, shape=_Answer)
    if said is None:
        raise UserError(f"{path} is not there; save what {method} answers.")
    if said.get("status") == "FAILED":
        raise UserError(
            f"{path}: the contest's site answered FAILED ({said.get('comment', 'no reason')}); ask "
            f"it {method} again."
        )
    if isinstance(said.get("result"), list) != (shape is _ChangesFile):
        raise UserError(
            f"{path} is not what {method} answers; the standings come first, then the changes."
        )
    return read_json(path, shape=shape)["result"]
