"""A search as an engine: what asks for samples gets a search's candidates.

    engine + scorer -> SearchEngine -> groups of candidates -> judged as any samples are

So that `r1 eval` and benchmarks judge, store, resume and compare searches with the code that they
have. What the judges do not see (scores, visits, tokens, trees) is written to a file for each call,
`searches/HASH.jsonl`, before its groups are handed out: a call that was killed is made again and
writes the same file.

The prompts' problems must be known (`SearchEngine.problems`): a scorer reads questions, not tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from r1.errors import UserError
from r1.files.shapes import RESTORE, open_shape, read_json_lines
from r1.rollout.limits import response_limit
from r1.rollout.protocol import FinishedGroup, KeptPrefixes, PrefixEngine
from r1.rollout.settings import SamplingSettings
from r1.run_dir import atomic
from r1.run_dir.atomic import hash_of
from r1.search.beam import beam_search
from r1.search.growth import Grower, SearchedProblem, TokenizedEngine
from r1.search.mcts import tree_search
from r1.search.protocol import EndJudge, Proposal, SearchResult, StepScorer
from r1.search.settings import SearchSettings
from r1.search.whole import score_groups
from r1.template import Earlier
from r1.types import FAILED, GroupRequest

SEARCHED = {"beam": beam_search, "mcts": tree_search}


@open_shape
class SearchedCandidate(TypedDict):
    """A candidate in a record. node: its place in the tree, of a tree's; failed: it never came."""

    score: float
    visits: int
    followed: bool
    tokens: int
    steps: list[float]
    node: NotRequired[int | None]
    failed: NotRequired[bool]


@open_shape
class TreeRow(TypedDict):
    """A node of a record's tree."""

    parent: int
    text: str
    mean: float
    visits: int
    prior: float
    ended: str | bool | None


class SearchTokens(TypedDict):
    """A record's tokens."""

    generated: int
    prefilled: int
    scored: int


@open_shape
class SearchRecord(TypedDict):
    """A line of searches/HASH.jsonl: what a search found for a problem."""

    id: str
    candidates: list[SearchedCandidate]
    cost: SearchTokens
    tree: list[TreeRow]


class ConstantScorer:
    """Every branch is worth 0.5: what a search does without knowing anything."""

    def score_steps(
        self, prompts: Sequence[str], responses: Sequence[str], earlier: Sequence[Earlier] = ()
    ) -> list[list[float]]:
        """Implement StepScorer."""
        return [[0.5] for _ in responses]


class SearchEngine:
    """Implements rollout.protocol.Engine: groups hold a search's candidates, however many."""

    def __init__(
        self,
        engine: TokenizedEngine,
        scorer: StepScorer,
        settings: SearchSettings,
        prompts: Mapping[str, str],
        folder: Path,
        judge: EndJudge | None = None,
        earlier: Mapping[str, Earlier] | None = None,
    ) -> None:
        """prompts: the question of each problem, by id; folder: where the records are written;
        judge: values a tree's ends in the scorer's place; earlier: the turns before questions, by
        id, where there are any."""
        self.engine, self.scorer, self.settings = engine, scorer, settings
        self.prompts, self.folder, self.judge = prompts, folder, judge
        self.earlier = earlier or {}
        self.context = int(getattr(engine, "context", 1 << 30))

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Search every request's problem, together; yield its candidates, in request order."""
        return self._run(list(requests), sampling)

    def _run(
        self, requests: list[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        limits = {
            request.id: response_limit(request, sampling, self.context) for request in requests
        }
        problems = [
            SearchedProblem(
                r.id,
                self.prompts[r.id],
                tuple(r.prompt_ids),
                r.seeds[0],
                self.earlier.get(r.id, ()),
            )
            for r in requests
        ]
        search = SEARCHED.get(self.settings.method)
        with _keeping(self.engine) if search else nullcontext() as kept:
            grower = Grower(
                self.engine,
                self.scorer,
                self.settings,
                sampling,
                lambda p: limits[p.id],
                self.judge,
                kept,
            )
            if search is None:
                groups = list(self.engine.generate(requests, sampling))
                found = score_groups(problems, groups, grower)
            else:
                found = search(problems, grower)
        write_records(self.folder, found)
        for request in requests:
            candidates = found[request.id].candidates
            yield FinishedGroup(request, [each.branch.completion() for each in candidates])

    def load_weights(self, weights: Iterable[Any], version: int) -> None:
        """Give the engine other weights."""
        self.engine.load_weights(weights, version)


def _keeping(engine: TokenizedEngine) -> AbstractContextManager[KeptPrefixes | None]:
    """Let an engine keep prompts, where it can."""
    return engine.keeping_prefixes() if isinstance(engine, PrefixEngine) else nullcontext()


def write_records(folder: Path, found: Mapping[str, SearchResult]) -> Path:
    """Write what a call found, a line for each problem; the name follows from their ids."""
    lines = [json.dumps(record(id, each), ensure_ascii=False) + "\n" for id, each in found.items()]
    atomic.make_folder(folder)
    path = folder / f"{hash_of(sorted(found))[:16]}.jsonl"
    atomic.write_text(path, "".join(lines))
    return path


def record(id: str, found: SearchResult) -> dict[str, Any]:
    """Return what is kept of a problem's search, as JSON values."""
    return {
        "id": id,
        "candidates": [_candidate(each) for each in found.candidates],
        "cost": found.cost.as_json(),
        "tree": found.tree,
    }


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the records of all calls by problem id. Raises UserError for a damaged file.

    A problem of which responses never came is searched again, maybe in a call of other problems
    and so into another file: the record that lacks fewest is the later one.
    """
    records: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for found in read_json_lines(path, SearchRecord):
            places = [node["parent"] for node in found["tree"]]
            if any(parent >= place for place, parent in enumerate(places)):
                raise UserError(
                    f"{path}: a node of {found['id']!r} precedes its parent; {RESTORE}."
                )
            ends = [candidate.get("node") for candidate in found["candidates"]]
            if any(end is not None and not 0 <= end < len(places) for end in ends):
                raise UserError(
                    f"{path}: a candidate of {found['id']!r} has no node in its tree; {RESTORE}."
                )
            known = records.get(found["id"])
            if known is None or _num_failed(found) <= _num_failed(known):
                records[found["id"]] = found
    return records


def _num_failed(record: Mapping[str, Any]) -> int:
    return sum(candidate.get("failed", False) for candidate in record["candidates"])


def _candidate(found: Proposal) -> dict[str, Any]:
    told = {
        "score": found.score,
        "visits": found.visits,
        "followed": found.followed,
        "tokens": len(found.branch.token_ids),
        "steps": list(found.steps),
        "node": found.node,
    }
    return {**told, "failed": True} if found.branch.ended == FAILED else told
