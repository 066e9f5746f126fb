"""Grading against a reference: one verdict a response, correct or not, or not attempted.

    score = correct / N                          N: all responses but those the judge failed on
    attempted = (correct + wrong) / N            given attempted: c_a = correct / (correct + wrong)
    F = 2 c_a c / (c_a + c)                      the harmonic mean of c_a and c = correct / N

SimpleQA's figures (Wei et al. 2024, arXiv 2411.04368); its letters A, B and C are the words here.
A response without summary is not attempted in these, and has a rate of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from r1.benchmarks.judging.protocol import Judging, StoredResponse, Tally, by_question
from r1.intervals import share_interval
from r1.judge.prompt import DataBlock, JudgeTask
from r1.judge.verdict import Verdict
from r1.types import Problem

CORRECT, WRONG, NOT_ATTEMPTED = "correct", "incorrect", "not attempted"
LABELS = (CORRECT, WRONG, NOT_ATTEMPTED)
_NAMES = {CORRECT: "correct", WRONG: "wrong", NOT_ATTEMPTED: "not attempted"}


def grading(task: Callable[[str, str, str], JudgeTask], attempts: bool = True) -> Judging:
    """Return the judging of a benchmark by task(question, reference, answer).

    attempts: the task knows "not attempted", so its figures are told.
    """

    def tasks(problem: Problem, summary: str) -> tuple[JudgeTask, ...]:
        question = problem.metadata.get("question", problem.prompt)
        assert problem.reference is not None
        return (task(question, problem.reference, summary),)

    return Judging(tasks, outcome_of, tally if attempts else _score_alone)


def three_way_task(instructions: str) -> Callable[[str, str, str], JudgeTask]:
    """Return a task of grading as correct, incorrect or not attempted."""

    def task(question: str, reference: str, answer: str) -> JudgeTask:
        blocks = {"question": question, "reference": reference, "answer": answer}
        data = tuple(DataBlock(name, text) for name, text in blocks.items())
        return JudgeTask(instructions, LABELS, data)

    return task


def outcome_of(response: StoredResponse) -> str:
    """A response that the limit cut before it had given a right answer is unfinished."""
    if response.unasked:
        return response.unasked
    (found,) = response.found
    if not isinstance(found, Verdict):
        return "judge failed"
    name = _NAMES[found.label]
    return "unfinished" if response.cut and name != "correct" else name


def tally(responses: Sequence[StoredResponse]) -> Tally:
    """The score and SimpleQA's figures."""
    counts = Counter(map(outcome_of, responses))
    judged = counts.total() - counts["judge failed"]
    attempted = counts["correct"] + counts["wrong"]
    right = counts["correct"] / judged if judged else None
    given = counts["correct"] / attempted if attempted else None
    both = (right or 0.0) + (given or 0.0)
    figures = {
        "attempted": attempted / judged if judged else None,
        "correct given attempted": given,
        "F": 2.0 * (right or 0.0) * (given or 0.0) / both if both else None,
    }
    return _score_alone(responses)._replace(figures=figures)


def _score_alone(responses: Sequence[StoredResponse]) -> Tally:
    right_P = [_right(samples) for samples in by_question(responses).values()]
    means = [float(np.mean(right)) if right else np.nan for right in right_P]
    return Tally(share_interval(means, num_samples=sum(map(len, right_P))), {})


def _right(samples: Sequence[StoredResponse]) -> list[bool]:
    """Whether each is right, of those that the judge did not fail on."""
    names = [outcome_of(sample) for sample in samples]
    return [name == "correct" for name in names if name != "judge failed"]
