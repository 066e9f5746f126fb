"""Several evaluations of one model in one queue: the model is loaded once, and does not idle.

    evaluations -> blocks, a file each -> calls of up to BLOCK_SAMPLES samples -> engine -> files

A call holds blocks of several evaluations where they fit together, so that small ones do not leave
the engine's batch empty; blocks of one evaluation are never in one call. Each evaluation has a
folder of its own (blocks.py), its blocks are cut as if it were alone, and its figures are written
as soon as its last block is.

An engine's rounding depends on the batch it computes, so a call that was killed is repeated whole.
The calls of a suite are kept in its queue file; another suite in the same place is cut anew, of
what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from r1.evaluation import blocks
from r1.evaluation.blocks import (
    BlockPlan,
    Call,
    Step,
    by_content,
    claim,
    cut,
    is_whole,
    read_block,
    request_of,
)
from r1.evaluation.run import JudgedGroup, VotingScorer, count_votes, describe, make_request
from r1.evaluation.summary import JudgedProblem, judge, require_accuracy, summarise
from r1.files.shapes import read_json
from r1.rewards.registry import PromptForm
from r1.rollout.protocol import Engine
from r1.rollout.scored import ScoreHandle, scored_groups
from r1.run_dir import atomic, lock
from r1.run_dir.atomic import hash_of
from r1.run_dir.completions import ParsedResponse
from r1.run_dir.evaluation import BLOCKS, RESULT
from r1.template import Renderer
from r1.types import Problem, RolloutGroup

OnProblem = Callable[[JudgedProblem], None]
Summary = dict[str, Any]


class EvaluationLine(NamedTuple):
    """The components that samples pass through. parse: takes a response apart for the table."""

    engine: Engine
    scorer: VotingScorer
    renderer: Renderer
    parse: Callable[[str], ParsedResponse]


class Planned(NamedTuple):
    """One evaluation of a suite, into the folder `out`.

    identity: JSON values of what decides its figures besides the plan (model, template, rewards).
    """

    plan: BlockPlan
    out: Path
    identity: Mapping[str, Any]


class _SuiteBlock(NamedTuple):
    """A block and the place of its evaluation in the suite."""

    place: int
    path: Path
    problems: Sequence[Problem]
    num_samples: int

    @property
    def name(self) -> str:
        """Its path from the folder that holds the evaluations' folders."""
        return "/".join(self.path.parts[-3:])


OpenLines = Callable[[], AbstractContextManager[Sequence[EvaluationLine]]]
"""Makes the model ready; a line for each evaluation, with one engine and one renderer."""


def evaluate_in_blocks(
    plan: BlockPlan,
    open_line: Callable[[], AbstractContextManager[EvaluationLine]],
    out: Path,
    identity: Mapping[str, Any],
    on_problem: OnProblem = lambda judged: None,
) -> Summary:
    """Evaluate into the folder `out`, skipping finished blocks; return the summary.

    As `evaluate_suite` of one evaluation.
    """

    @contextmanager
    def open_lines() -> Iterator[list[EvaluationLine]]:
        with open_line() as line:
            yield [line]

    [summary] = evaluate_suite([Planned(plan, out, identity)], open_lines, on_problem)
    return summary


def evaluate_suite(
    planned: Sequence[Planned],
    open_lines: OpenLines,
    on_problem: OnProblem = lambda judged: None,
    queue: Path | None = None,
    on_done: Callable[[int, Summary], None] = lambda place, summary: None,
) -> list[Summary]:
    """Evaluate all into their folders, skipping finished blocks; return the summaries in order.

    open_lines: not called where nothing is left to sample. on_problem: called for every problem,
    those of finished blocks too. queue: the file that keeps the calls of several evaluations.
    on_done: called with the place and the summary of each evaluation when it ends.
    Raises UserError for a folder that holds another evaluation, or something else, or that another
    process evaluates into.
    """
    assert all(each.plan.sampling == planned[0].plan.sampling for each in planned)
    requests = [request_of(each.plan, each.identity) for each in planned]
    with ExitStack() as stack:
        for each, request in zip(planned, requests, strict=True):
            claim(each.out, request)
            stack.callback(lock.release, each.out)
        every = [_blocks_of(place, each) for place, each in enumerate(planned)]
        missing = _calls(every, requests, queue)
        suite = _Suite(planned, every, on_problem, on_done)
        suite.begin(missing)
        if missing:
            with open_lines() as lines:
                suite.sample(missing, lines)
        return suite.summaries()


class _Suite:
    """The evaluations under way: how many blocks of each are left, and the summaries so far."""

    def __init__(
        self,
        planned: Sequence[Planned],
        every: Sequence[Sequence[_SuiteBlock]],
        on_problem: OnProblem,
        on_done: Callable[[int, Summary], None],
    ) -> None:
        self._planned, self._every = planned, every
        self._on_problem, self._on_done = on_problem, on_done
        self._place = {block.path: block.place for block in chain.from_iterable(every)}
        self._left = [0] * len(planned)
        self._summaries: dict[int, Summary] = {}

    def begin(self, missing: Sequence[Call]) -> None:
        """Count what is left; tell of the problems of finished blocks and end what is whole."""
        repeated = {path for call in missing for path in call}
        for place, own in enumerate(self._every):
            self._left[place] = sum(block.path in repeated for block in own)
            for block in own:
                if block.path not in repeated:
                    for judged in read_block(block.path):
                        self._on_problem(judged)
            if not self._left[place]:
                self._end(place)

    def sample(self, calls: Sequence[Call], lines: Sequence[EvaluationLine]) -> None:
        """Sample the calls; end each evaluation with its last block."""
        engine, step = lines[0].engine, Step(self._planned[0].plan.step, lines[0].parse)

        def on_group(group: JudgedGroup) -> None:
            self._on_problem(judge(*group))

        def begin(call: Call) -> Iterator[JudgedGroup]:
            return self._begin(call, lines)

        for call in blocks.write_calls(calls, begin, engine, step, on_group):
            for path in call:
                place = self._place[path]
                self._left[place] -= 1
                if not self._left[place]:
                    self._end(place)

    def summaries(self) -> list[Summary]:
        """The summaries in order; all evaluations have ended."""
        return [self._summaries[place] for place in range(len(self._planned))]

    def _begin(self, call: Call, lines: Sequence[EvaluationLine]) -> Iterator[JudgedGroup]:
        """Queue the problems of a call, each judged by its own evaluation's scorer."""
        scorers: dict[str, VotingScorer] = {}
        requests, problems = [], []
        for path, block in call.items():
            place = self._place[path]
            scorer, renderer = lines[place].scorer, lines[place].renderer
            weights_of = scorer.settings.weights_of
            require_accuracy({name for problem in block for name in weights_of(problem.family)})
            settings = self._planned[place].plan.settings
            for problem in block:
                scorers[problem.id] = scorer
                problems.append(problem)
                requests.append(make_request(problem, renderer, settings))
        first = self._planned[self._place[next(iter(call))]]
        sampling = first.plan.sampling
        form = PromptForm(opened=lines[0].renderer.opens_think, stop=sampling.stop)
        engine = lines[0].engine
        groups = scored_groups(engine, _Routed(scorers), problems, requests, sampling)
        return (
            JudgedGroup(scored, count_votes(scorers[scored.group.problem.id], scored, form))
            for scored in groups
        )

    def _end(self, place: int) -> None:
        plan, out, _ = self._planned[place]
        judged = [each for block in self._every[place] for each in read_block(block.path)]
        drawn, seed = describe(plan.sampling, plan.settings.seed), plan.settings.seed
        summary = summarise(judged, step=plan.step, sampling=drawn, seed=seed)
        atomic.write_json(out / RESULT, summary)
        self._summaries[place] = summary
        self._on_done(place, summary)


class _Routed(NamedTuple):
    """Implements rollout.scored.GroupScorer: each problem's group goes to its own scorer."""

    scorers: Mapping[str, VotingScorer]

    def submit_group(self, group: RolloutGroup) -> ScoreHandle:
        """Begin to score a group."""
        return self.scorers[group.problem.id].submit_group(group)


def _blocks_of(place: int, planned: Planned) -> list[_SuiteBlock]:
    k = planned.plan.settings.num_samples
    files = cut(planned.plan.problems, k, planned.out / BLOCKS, "block")
    return [_SuiteBlock(place, path, block, k * len(block)) for path, block in files.items()]


def _calls(
    every: Sequence[Sequence[_SuiteBlock]],
    requests: Sequence[Mapping[str, Any]],
    queue: Path | None,
) -> list[Call]:
    """The calls of which a block is missing: those of the queue file if they are this suite's, else
    of what is missing now."""
    by_name = {block.name: block for block in chain.from_iterable(every)}
    missing = {name: block for name, block in by_name.items() if not is_whole(block.path)}
    if queue is None or len(every) == 1:
        return [{block.path: block.problems} for block in missing.values()]
    suite = hash_of([by_content(request) for request in requests])
    kept = read_json(queue, {})
    if kept.get("suite") != suite or not _holds(kept.get("calls"), by_name, missing):
        calls = pack(list(missing.values()))
        kept = {"suite": suite, "calls": [[block.name for block in call] for call in calls]}
        atomic.make_folder(queue.parent)
        atomic.write_json(queue, kept)
    return [
        {by_name[name].path: by_name[name].problems for name in call}
        for call in kept["calls"]
        if not missing.keys().isdisjoint(call)
    ]


def pack(left: Sequence[_SuiteBlock]) -> list[list[_SuiteBlock]]:
    """Put each block into the first call that has room for its samples, none of its evaluation's
    blocks, and none of its problems' ids."""
    calls: list[list[_SuiteBlock]] = []
    for block in left:
        call = next((call for call in calls if _fits(block, call)), None)
        if call is None:
            calls.append([block])
        else:
            call.append(block)
    return calls


def _fits(block: _SuiteBlock, call: Sequence[_SuiteBlock]) -> bool:
    room = blocks.block_samples() - sum(other.num_samples for other in call)
    if block.num_samples > room or any(block.place == other.place for other in call):
        return False
    ids = {problem.id for other in call for problem in other.problems}
    return not any(problem.id in ids for problem in block.problems)


def _holds(calls: Any, known: Collection[str], missing: Collection[str]) -> bool:
    """Whether a queue file's calls are lists of known blocks, each once, all missing ones too."""
    if not isinstance(calls, list) or not all(isinstance(call, list) and call for call in calls):
        return False
    names = [name for call in calls for name in call]
    if not all(isinstance(name, str) and name in known for name in names):
        return False
    return len(names) == len(set(names)) and set(missing) <= set(names)
