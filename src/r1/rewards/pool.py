"""Scores groups in killable worker processes while the engine generates the next ones.

    with RewardPool(settings, PromptForm(opened=renderer.opens_think)) as pool:
        handle = pool.submit_group(group)      # returns at once, blocks when MAX_PENDING wait
        scored = handle.result()

Every score of every sample is an item of its own: one that hangs is TIMED_OUT after
`rewards.timeout_s`, one that kills its worker twice is VERIFIER_FAILED, and the rest of the group
is scored all the same. A group travels as one message. Usable from any thread: no signal handlers,
no alarms, no fork of the parent.

Left out on purpose: scoring in the parent's own process. Cheap rewards would gain some 30 µs
each, and a hang or a crash would take the training run with it.
"""

from __future__ import annotations

import queue
import threading
from collections import ChainMap
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from r1.rewards.accuracy import answer_source
from r1.rewards.combine import PoolCounts, combine
from r1.rewards.exact import normalise
from r1.rewards.judge import JudgeLane, join, judged_rewards
from r1.rewards.reading import read_answer
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.rewards.wire import Job, ScoreItem, Setup
from r1.rewards.worker_handle import WorkerHandle
from r1.types import FAILED, Outcome, Problem, RolloutGroup, Score, ScoredGroup

NO_VOTE = -1
_NO_RESPONSE = Score(0.0, Outcome.VERIFIER_FAILED, "the engine gave no response")
MAX_PENDING = 64
"""Groups that may wait for a worker: beyond them sampling waits, and memory stays bounded."""


@dataclass(frozen=True, slots=True)
class GroupHandle:
    """A group being scored."""

    group: RolloutGroup
    _future: Future[ScoredGroup]

    def result(self) -> ScoredGroup:
        """Wait for the group's scores."""
        return self._future.result()

    def done(self) -> bool:
        """Whether result() returns at once."""
        return self._future.done()

    def cancel(self) -> None:
        """Drop the group if no worker has begun to score it."""
        self._future.cancel()


@dataclass(frozen=True, slots=True)
class _Task:
    job: Job
    finish: Callable[[dict[int, Score]], Any]
    future: Future[Any]


class RewardPool:
    """The rewards of one run, as a context manager. Workers start with the first group.

    Raises UserError on construction for a reward or plugin that does not exist.
    """

    def __init__(self, settings: RewardSettings, form: PromptForm | None = None) -> None:
        settings.validate_names()
        self.settings = settings
        self._setup = Setup(settings, form or PromptForm())
        self._judge = JudgeLane(settings, self._setup.form)
        self._queue: queue.Queue[_Task | None] = queue.Queue(MAX_PENDING)
        self._lock = threading.Lock()
        self._counts = PoolCounts()
        self._unscored = 0
        self._threads: list[threading.Thread] = []
        self._workers: list[WorkerHandle] = []
        self._closed = False

    def __enter__(self) -> RewardPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def submit_group(self, group: RolloutGroup) -> GroupHandle:
        """Hand a group to the workers; blocks while MAX_PENDING groups are waiting.

        The rewards are those of the problem's family; a family may have none.
        Scores that the generative judge gives are no worker's: they wait in a lane of their own.
        """
        completions = [replace(completion, logprobs=[]) for completion in group.completions]
        weights = self.settings.weights_of(group.problem.family)
        names = list(weights)
        every = [
            ScoreItem(sample * len(names) + i, name, sample)
            for sample in range(len(completions))
            for i, name in enumerate(names)
            if completions[sample].finish_reason != FAILED
        ]
        judged = judged_rewards(names, group.problem)
        items = [item for item in every if item.reward not in judged]
        job = Job(group.problem, completions, items, _needed(names, group.problem))

        def finish(scores: dict[int, Score]) -> ScoredGroup:
            rows = [
                {
                    name: scores.get(sample * len(names) + i, _NO_RESPONSE)
                    for i, name in enumerate(names)
                }
                for sample in range(len(completions))
            ]
            rewards = [combine(parts, weights) for parts in rows]
            with self._lock:
                self._unscored -= 1
                for reward in rewards:
                    self._counts.add(reward)
            return ScoredGroup(group, rewards)

        with self._lock:
            self._unscored += 1
            self._counts.deepest = max(self._counts.deepest, self._unscored)

        if items and not judged:
            return GroupHandle(group, self._submit(job, finish))
        parts: list[Future[dict[int, Score]]] = []
        asked = {item.number: item.sample for item in every if item.reward in judged}
        if asked:
            parts.append(self._judge.submit(group, asked))
        if items:
            parts.append(self._submit(job, lambda scores: scores))
        return GroupHandle(group, join(parts, lambda found: finish(dict(ChainMap(*found)))))

    def score_groups(self, groups: Sequence[RolloutGroup]) -> list[ScoredGroup]:
        """Score groups that are all available; return the scores in the same order."""
        handles = [self.submit_group(group) for group in groups]
        return [handle.result() for handle in handles]

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """Number the answers so that equal ones share a number, for cons@k; None gets NO_VOTE.

        Answers that look alike are grouped first; only the distinct ones are compared by the
        problem's verifier, in a worker. A comparison without verdict counts as different.
        """
        keys = [None if answer is None else normalise(answer, case=True) for answer in answers]
        firsts: dict[str, str] = {}
        for key, answer in zip(keys, answers, strict=True):
            if key is not None and answer is not None:
                firsts.setdefault(key, answer)
        number = dict(zip(firsts, self._number(problem, list(firsts.values())), strict=True))
        return [NO_VOTE if key is None else number[key] for key in keys]

    def _number(self, problem: Problem, answers: list[str]) -> list[int]:
        """Number distinct answers by comparing each with the first of every group so far, as in
        r1.evaluation.estimators. One job per group compares all its answers without a number at
        once."""
        numbers = [NO_VOTE] * len(answers)
        left = list(range(len(answers)))
        for group in range(len(answers)):
            if not left:
                break
            first, *rest = left
            pairs = [
                ScoreItem(other, None, pair=(answers[first], answers[other])) for other in rest
            ]
            scores: dict[int, Score] = {}
            if pairs:
                job = Job(problem, [], pairs, (problem.verifier,))
                scores = self._submit(job, lambda found: found).result()
            same = [first, *(other for other in rest if scores[other].value == 1.0)]
            for member in same:
                numbers[member] = group
            left = [other for other in rest if numbers[other] == NO_VOTE]
        return numbers

    def vote_groups(self, group: RolloutGroup) -> list[int]:
        """Number each completion's answer so that equal ones share a number; NO_VOTE for none."""
        problem, form = group.problem, self._setup.form
        source = answer_source(problem, find_verifier(problem.verifier), self.settings)
        return self.group_answers(
            problem, [read_answer(completion, source, form) for completion in group.completions]
        )

    def take_counts(self) -> PoolCounts:
        """Return the outcomes counted since the last call (a step's, for its metrics)."""
        with self._lock:
            counts, self._counts = self._counts, PoolCounts(deepest=self._unscored)
        counts.judge = self._judge.take_counts()
        return counts

    def close(self) -> None:
        """Stop the workers; groups without scores are dropped and their handles cancelled."""
        if self._closed:
            return
        self._closed = True
        self._judge.close()
        while True:
            try:
                task = self._queue.get_nowait()
            except queue.Empty:
                break
            if task is not None:
                task.future.cancel()
        for worker in self._workers:
            worker.abort()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _submit(self, job: Job, finish: Callable[[dict[int, Score]], Any]) -> Future[Any]:
        if self._closed:
            raise RuntimeError("the reward pool is closed")
        with self._lock:
            for number in range(len(self._threads), self.settings.num_workers):
                worker = WorkerHandle(self._setup, self._count_restart)
                thread = threading.Thread(
                    target=self._serve, args=(worker,), name=f"reward-worker-{number}", daemon=True
                )
                thread.start()
                self._workers.append(worker)
                self._threads.append(thread)
        task = _Task(job, finish, Future())
        self._queue.put(task)
        return task.future

    def _serve(self, worker: WorkerHandle) -> None:
        """Run one worker's thread: take a job, wait for its scores, complete its future."""
        try:
            while (task := self._queue.get()) is not None:
                if not task.future.set_running_or_notify_cancel():
                    continue
                try:
                    task.future.set_result(task.finish(worker.score(task.job)))
                except Exception as error:  # handed to whoever waits for the group
                    task.future.set_exception(error)
        finally:
            worker.stop()

    def _count_restart(self) -> None:
        with self._lock:
            self._counts.restarts += 1


def _needed(names: list[str], problem: Problem) -> tuple[str, ...]:
    """Return the verifiers whose libraries must be loaded before an item's clock starts."""
    judged = any(name in ("accuracy", "checked_accuracy") for name in names)
    return (problem.verifier,) if judged else ()
