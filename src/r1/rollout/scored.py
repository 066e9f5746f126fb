"""Problems -> rollouts -> rewards: score groups while others are still being sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from r1.rollout.protocol import Engine, FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.types import GroupRequest, Problem, RolloutGroup, Score, ScoredGroup


class ScoreHandle(Protocol):
    """A group being scored."""

    def done(self) -> bool:
        """Whether `result` returns at once."""

    def result(self) -> ScoredGroup:
        """Wait for the rewards."""

    def cancel(self) -> None:
        """Let nobody score the group if nobody has begun to; `result` must not be asked for."""


def _at_once() -> bool:
    return True


class Scores(NamedTuple):
    """The scores of a group's completions, on their way.

    result: waits for them, or computes them, in the completions' order. done: whether `result`
    would not wait for another process.
    """

    result: Callable[[], list[Score]]
    done: Callable[[], bool] = _at_once


class Counts(Protocol):
    """Counts of scoring since they were last taken."""

    def as_metrics(self) -> dict[str, float]:
        """Return `pool/...` for timings.jsonl."""

    def alarm(self) -> str | None:
        """Return a warning if too many scores have no verdict."""


class GroupScorer(Protocol):
    """Scores groups in the background."""

    def submit_group(self, group: RolloutGroup) -> ScoreHandle:
        """Begin to score a group; block while too many groups wait."""


class Scorer(GroupScorer, Protocol):
    """A GroupScorer with counts: `r1.rewards.pool.RewardPool`."""

    def take_counts(self) -> Counts:
        """Return the counts since the last call."""


def scored_groups(
    engine: Engine,
    scorer: GroupScorer,
    problems: Sequence[Problem],
    requests: Sequence[GroupRequest],
    sampling: SamplingSettings,
) -> Iterator[ScoredGroup]:
    """Sample and score requests[p] of problems[p]; yield each group when it is scored.

    The order is that in which the engine ends the groups. Request ids are the problems'. The engine
    has the requests when this returns: one with a queue samples before a group is asked for.
    """
    by_id = {problem.id: problem for problem in problems}
    assert len(by_id) == len(problems) == len(requests), "problem ids must differ"
    return _score(engine.generate(requests, sampling), scorer, by_id)


def _score(
    finished: Iterable[FinishedGroup], scorer: GroupScorer, by_id: Mapping[str, Problem]
) -> Iterator[ScoredGroup]:
    pending: list[ScoreHandle] = []
    for request, completions in finished:
        group = RolloutGroup(by_id[request.id], request.prompt_ids, completions)
        pending.append(scorer.submit_group(group))
        while pending and pending[0].done():
            yield pending.pop(0).result()
    for handle in pending:
        yield handle.result()
