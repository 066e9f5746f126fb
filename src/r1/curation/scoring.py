"""Who says whether a sample is correct: the rules of a RewardPool, a judge, or one for each kind.

    rules = RewardPool(settings, form)
    judged = JudgeScorer(lambda question, reference, answer: judge.grade(...).as_score(), settings)
    scorer = RoutedScorer(rules, judged)        # verifier "judge" -> judged, all others -> rules

All satisfy the GroupScorer seam of r1.rollout.scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from r1.curation.filters import ACCURACY
from r1.curation.pattern import PatternSettings
from r1.rewards.accuracy import answer_source
from r1.rewards.exact import normalise
from r1.rewards.reading import read_answer
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.rollout.scored import GroupScorer, ScoreHandle
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

JudgeAnswer = Callable[[str, str, str], Score]
"""(question, reference, answer) -> a score whose outcome is CORRECT, WRONG, or no verdict."""


class ReadingScorer(GroupScorer, Protocol):
    """A scorer that says where answers are read: RewardPool, JudgeScorer, RoutedScorer."""

    settings: RewardSettings

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """Number the answers so that equal ones share a number; -1 for None."""


@dataclass(frozen=True, slots=True)
class _JudgedHandle:
    group: RolloutGroup
    scores: list[Future[Score]]

    def done(self) -> bool:
        return all(future.done() for future in self.scores)

    def result(self) -> ScoredGroup:
        rewards = [_reward(future.result()) for future in self.scores]
        return ScoredGroup(self.group, rewards)


class JudgeScorer:
    """Scores by a callable, in threads: it may wait for a network. A context manager.

    What the callable raises reaches whoever waits for the group: a judge that has no verdict
    returns a score that says so.
    """

    def __init__(
        self,
        judge: JudgeAnswer,
        settings: RewardSettings,
        form: PromptForm | None = None,
        num_threads: int = 8,
    ) -> None:
        self.settings = settings
        self._judge, self._form = judge, form or PromptForm()
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="judge-answers")

    def __enter__(self) -> JudgeScorer:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def submit_group(self, group: RolloutGroup) -> ScoreHandle:
        """Begin to judge a group."""
        scores = [self._threads.submit(self._score, group.problem, c) for c in group.completions]
        return _JudgedHandle(group, scores)

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """Number the answers by how they read; asking a judge of every pair would cost more than
        the judging."""
        numbers: dict[str, int] = {}
        return [
            -1 if a is None else numbers.setdefault(normalise(a, case=True), len(numbers))
            for a in answers
        ]

    def _score(self, problem: Problem, completion: Completion) -> Score:
        answer = answer_of(problem, completion, self.settings, self._form)
        if answer is None:
            return Score(0.0, Outcome.UNPARSEABLE, "no answer could be read")
        if problem.reference is None:
            return Score(0.0, Outcome.VERIFIER_FAILED, "the problem has no reference")
        return self._judge(problem.prompt, problem.reference, answer)


class RoutedScorer:
    """Sends each problem to the rules or to the judge."""

    def __init__(
        self,
        rules: ReadingScorer,
        judged: ReadingScorer,
        is_judged: Callable[[Problem], bool] = lambda problem: problem.verifier == "judge",
    ) -> None:
        self.settings = rules.settings
        self._rules, self._judged, self._is_judged = rules, judged, is_judged

    def submit_group(self, group: RolloutGroup) -> ScoreHandle:
        """Begin to score a group."""
        return self._for(group.problem).submit_group(group)

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """Number the answers so that equal ones share a number."""
        return self._for(problem).group_answers(problem, answers)

    def _for(self, problem: Problem) -> ReadingScorer:
        return self._judged if self._is_judged(problem) else self._rules


class PatternScorer:
    """Shows a scorer responses with Table 1's tags, whatever the special tokens of the pattern."""

    def __init__(
        self, scorer: GroupScorer, pattern: PatternSettings, form: PromptForm | None = None
    ) -> None:
        self._scorer, self._pattern, self._form = scorer, pattern, form or PromptForm()

    def submit_group(self, group: RolloutGroup) -> ScoreHandle:
        """Begin to score a group; the result holds the responses as they were given."""
        shown = [in_think_tags(c, self._pattern, self._form) for c in group.completions]
        handle = self._scorer.submit_group(replace(group, completions=shown))
        return _Restored(handle, group)


@dataclass(frozen=True, slots=True)
class _Restored:
    handle: ScoreHandle
    group: RolloutGroup

    def done(self) -> bool:
        return self.handle.done()

    def result(self) -> ScoredGroup:
        return ScoredGroup(self.group, self.handle.result().rewards)


def in_think_tags(completion: Completion, pattern: PatternSettings, form: PromptForm) -> Completion:
    """The completion as the rewards read it: with Table 1's tags. Unchanged where it has them
    already or does not keep the pattern."""
    whole = pattern.whole(completion.text, completion.finish_reason, form.stop)
    shown = pattern.in_think_tags(whole, form.opened)
    return completion if shown == whole else replace(completion, text=shown)


def answer_of(
    problem: Problem, completion: Completion, settings: RewardSettings, form: PromptForm
) -> str | None:
    """The answer that is judged, where this problem's answer is read; None where there is none."""
    source = answer_source(problem, find_verifier(problem.verifier), settings)
    return read_answer(completion, source, form)


def _reward(score: Score) -> Reward:
    return Reward(score.value, {ACCURACY: score}, score.outcome.is_verdict)
