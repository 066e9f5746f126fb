"""The generative judge as a verifier and as a reward, for answers that no rule can judge.

A problem with the verifier "judge" has its accuracy judged by a language model; the reward
"judge" has every problem judged so, whatever its verifier (weight 0: an audit of the rules).

Waiting for a network is not work for the pool's workers: their clock is short and each does one
thing at a time. Judged scores therefore run in a separate thread of the training process with an
event loop, in which hundreds of requests wait at once while generation and the workers go on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from r1.errors import UserError
from r1.judge.counts import JudgeCounts
from r1.judge.grade import Judgement
from r1.judge.judge import Judge
from r1.rewards.accuracy import answer_source
from r1.rewards.exact import equal_exact
from r1.rewards.protocol import RewardFunction
from r1.rewards.reading import read_answer
from r1.rewards.registry import (
    PromptForm,
    Verifier,
    find_verifier,
    register_reward,
    register_verifier,
)
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score

logger = logging.getLogger(__name__)

NAME = "judge"
MAX_DETAIL = 300
CACHE_NAME = "judge.jsonl"
MAX_ANSWER_CHARS = 20_000
"""A longer answer is wrong without being sent: it would cost without bound."""
MAX_PENDING = 64
"""Groups that may wait for the judge: beyond them sampling waits, and memory stays bounded."""

T = TypeVar("T")
Scores = dict[int, Score]


def judged_rewards(names: Iterable[str], problem: Problem) -> set[str]:
    """Return the rewards of a recipe that the judge computes for this problem."""
    return {n for n in names if n == NAME or (n == "accuracy" and problem.verifier == NAME)}


def check_judge(settings: RewardSettings, problems: Iterable[Problem]) -> None:
    """Raise UserError within seconds if a judge is needed and cannot work.

    For before training: a missing section or key, an endpoint out of reach, an unknown model. Warns
    of a judge that nobody asks.
    """
    if NAME in settings.names or any(problem.verifier == NAME for problem in problems):
        with _open(settings) as judge:
            judge.check()
    elif settings.judge is not None:
        logger.warning(
            "rewards.judge is not asked here: neither a reward nor a verifier of these problems is "
            '"judge".'
        )


def cached_in(settings: RewardSettings, folder: Path) -> RewardSettings:
    """Return settings whose judge keeps its replies in a run's folder, unless they name a place."""
    if settings.judge is None or settings.judge.cache is not None:
        return settings
    judge = settings.judge.model_copy(update={"cache": folder / CACHE_NAME})
    return settings.model_copy(update={"judge": judge})


class JudgeLane:
    """The judged scores of a pool's groups. Opens its judge on first use.

    At most MAX_PENDING groups wait for the judge; a further submit blocks.
    """

    def __init__(self, settings: RewardSettings, form: PromptForm) -> None:
        self._settings = settings
        self._form = form
        self._judge: Judge | None = None
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_PENDING)

    def submit(self, group: RolloutGroup, samples: dict[int, int]) -> Future[Scores]:
        """Begin to judge samples of a group. samples: item number -> index of its completion.

        The future raises UserError where the judge cannot go on (budget, key).
        Raises UserError where the recipe has no judge.
        """
        judge = self._open()
        self._places.acquire()
        try:
            completions = group.completions
            futures = {n: self._score(judge, group, completions[i]) for n, i in samples.items()}
        except BaseException:
            self._places.release()
            raise
        numbers = list(futures)
        joined = join(
            list(futures.values()), lambda scores: dict(zip(numbers, scores, strict=True))
        )
        joined.add_done_callback(lambda _: self._places.release())
        return joined

    def take_counts(self) -> JudgeCounts:
        """Return the judge's counts since the last call."""
        return self._judge.take_counts() if self._judge is not None else JudgeCounts()

    def close(self) -> None:
        """Close the judge; futures without scores are cancelled."""
        if self._judge is not None:
            self._judge.close()

    def _open(self) -> Judge:
        with self._lock:
            if self._judge is None:
                self._judge = _open(self._settings)
            return self._judge

    def _score(self, judge: Judge, group: RolloutGroup, completion: Completion) -> Future[Score]:
        problem = group.problem
        source = answer_source(problem, find_verifier(problem.verifier), self._settings)
        answer = read_answer(completion, source, self._form)
        if answer is None:
            return _settled(Score(0.0, Outcome.UNPARSEABLE, "no answer could be read"))
        if problem.reference is None:
            return _settled(Score(0.0, Outcome.VERIFIER_FAILED, "the problem has no reference"))
        if len(answer) > MAX_ANSWER_CHARS:
            return _settled(Score(0.0, Outcome.WRONG, "the answer is too long"))
        grade = judge.submit_grade(problem.dialogue, problem.reference, answer)
        return join([grade], lambda found: _short(found[0]))


def join(futures: Sequence[Future[Any]], finish: Callable[[list[Any]], T]) -> Future[T]:
    """Return a future of finish(results), completed when the last of the futures is.

    The first exception, in their order, becomes its exception; a cancelled one cancels it.
    """
    joined: Future[T] = Future()
    left = len(futures)
    lock = threading.Lock()

    def settle() -> None:
        if not joined.set_running_or_notify_cancel():
            return
        try:
            joined.set_result(finish([future.result() for future in futures]))
        except Exception as error:  # handed to whoever waits
            joined.set_exception(error)

    def one_done(_: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            settle()

    if not futures:
        settle()
    for future in futures:
        future.add_done_callback(one_done)
    return joined


def _open(settings: RewardSettings) -> Judge:
    if settings.judge is None:
        raise UserError(
            'a judge is needed (a problem\'s verifier or a reward is "judge") but the recipe '
            "names none; add a [rewards.judge] section with base_url and model."
        )
    return Judge(settings.judge)


def _short(judgement: Judgement) -> Score:
    score = judgement.as_score()
    return Score(score.value, score.outcome, score.detail[:MAX_DETAIL])


def _settled(score: Score) -> Future[Score]:
    future: Future[Score] = Future()
    future.set_result(score)
    return future


def _not_here(problem: Problem, completion: object, *_: object) -> Score:
    raise RuntimeError("judged answers are scored in the pool's own process, not in a worker")


def make_judge(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Return a reward that is never called: the pool's JudgeLane computes it."""
    return _not_here


def check_reference(problem: Problem) -> str | None:
    """Check that there is a reference for the judge to compare with."""
    if not (problem.reference or "").strip():
        return "the judge needs a reference that is not empty"
    return None


# Votes compare answers as texts: asking the judge of every pair would cost more than the judging.
register_verifier(NAME, Verifier(_not_here, check_reference, equal_exact, reads=()))
register_reward(NAME, make_judge)
