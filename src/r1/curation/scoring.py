"""How samples are shown to the scorer that says whether they are correct.

The scorer is a RewardPool, or anything with the interface ReadingScorer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from r1.curation.pattern import PatternSettings
from r1.rewards.accuracy import answer_source
from r1.rewards.reading import read_answer
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.rollout.scored import GroupScorer, ScoreHandle
from r1.types import Completion, Problem, RolloutGroup, ScoredGroup


class ReadingScorer(GroupScorer, Protocol):
    """A scorer that says where answers are read: r1.rewards.pool.RewardPool."""

    settings: RewardSettings

    def group_answers(self, problem: Problem, answers: Sequence[str | None]) -> list[int]:
        """Number the answers so that equal ones share a number; -1 for None."""


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

    def cancel(self) -> None:
        self.handle.cancel()


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
