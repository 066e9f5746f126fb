"""The ratings of a run of Codeforces from every question's verdicts, and lines that tell them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from r1.benchmarks.contests.frozen import FrozenContest, read_contest
from r1.benchmarks.contests.rate import Tries, rate, summary
from r1.benchmarks.contests.scoring import SCORINGS
from r1.benchmarks.protocol import Loaded
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import read_bytes

PAPER = "the paper's R1: rating 2029, 96.3 % beaten"


def ratings(loaded: Loaded, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Rate the contests of which every question was asked, by each scoring; the first is shown."""
    contests = [read_contest(path) for path in loaded.paths[1]]
    asked = [contest for contest in contests if _all_asked(contest, loaded, values)]
    if not asked:
        return {"told": ["no contest was asked whole: no rating"]}
    snapshot = _snapshot(loaded.paths[2][0]) if len(loaded.paths) > 2 else None
    by_scoring: dict[str, dict[str, Any]] = {}
    for scoring in SCORINGS:
        rated = [rate(contest, _tries(contest, values), scoring) for contest in asked]
        by_scoring[scoring] = summary(rated, snapshot)
    unread = sum(
        f"codeforces/{contest.contest_id}/{problem.index}" not in values
        for contest in asked
        for problem in contest.problems
    )
    return {
        "by_scoring": by_scoring,
        "num_contests": len(asked),
        "num_unread_problems": unread,
        "told": _told(by_scoring, len(asked), unread),
    }


def _all_asked(
    contest: FrozenContest, loaded: Loaded, values: Mapping[str, Sequence[float]]
) -> bool:
    of = [p.id for p in loaded.problems if p.metadata["contest"] == str(contest.contest_id)]
    return bool(of) and all(identity in values for identity in of)


def _tries(contest: FrozenContest, values: Mapping[str, Sequence[float]]) -> dict[str, Tries]:
    """The samples of each problem by its index; none where no sample has a verdict."""
    found = {}
    for problem in contest.problems:
        worth = values.get(f"codeforces/{contest.contest_id}/{problem.index}")
        if worth:
            found[problem.index] = Tries(sum(value == 1.0 for value in worth), len(worth))
    return found


def _snapshot(path: Path) -> npt.NDArray[np.float64]:
    """The ratings of a JSON list, gzipped or not. Raises UserError."""
    content = read_bytes(path)
    try:
        ratings = parse_json(gzip.decompress(content) if path.suffix == ".gz" else content)
        return np.array(ratings, dtype=np.float64).reshape(-1)
    except (FormatError, OSError, EOFError, ValueError, TypeError) as fault:
        raise UserError(f"{path}: {fault}; give a JSON list of ratings.") from None


def _told(by_scoring: Mapping[str, Any], num_contests: int, unread: int) -> list[str]:
    lines = []
    for scoring, told in by_scoring.items():
        line = (
            f"{scoring}: rating {told['rating']:.0f} "
            f"(over results {told['rating_over_results']:.0f}), "
            f"{100 * told['beaten']:.1f} % of competitors beaten"
        )
        if told["snapshot_percentile"] is not None:
            line += f", {100 * told['snapshot_percentile']:.1f} % of the snapshot"
        lines.append(line)
    first = next(iter(by_scoring.values()))
    bound = f"these contests cannot show more than {first['bound']:.0f}"
    if first["num_clamped"]:
        bound += f", where {first['num_clamped']} of them end"
    lines.append(f"{num_contests} contests; {bound}; {PAPER}")
    if unread:
        lines.append(f"{unread} problems could not be read and count as unsolved: a lower bound")
    return lines
