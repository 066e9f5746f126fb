"""The two tries at an exercise: edits, tests, and the tests' output before the second try.

    prompt -> response -> edits (up to 3 more responses where an edit failed) -> tests
    tests failed -> their output, the files as they are now -> the same again -> tests

A record is stored as soon as an exercise is done; a run that was killed goes on with the others.
An exercise to which a response never came (an endpoint's failure) gets none, and is asked again.
Responses of several exercises are asked for together, and tests run a processor each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1.agents.ask import AskModel, NoReply, OpenConversation, Turn
from r1.agents.polyglot.exercise import Exercise
from r1.agents.polyglot.grade import ExerciseVerdict, Graded, run_tests
from r1.agents.polyglot.prompts import ask_first, ask_to_repair, tell_failures
from r1.edits.apply import Edited, EditFormat, apply_response
from r1.run_dir import atomic
from r1.sandbox import SandboxSettings

NUM_TRIES = 2
MAX_REFLECTIONS = 3
"""Further responses within a try where edits failed; they are no tries."""
BLOCK = 16
"""Exercises that are worked on together."""


@dataclass
class Attempt:
    """The work on one exercise. files: as the edits so far left them. malformed: kinds of failures
    of edits, one a failure. unanswered: a response never came."""

    exercise: Exercise
    wanted: int
    files: dict[str, str]
    turns: list[Turn]
    responses: list[str | None] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    runs: list[Graded] = field(default_factory=list)
    unanswered: bool = False

    @property
    def is_open(self) -> bool:
        """Whether another try may help."""
        passed = bool(self.runs) and self.runs[-1].verdict is ExerciseVerdict.PASSED
        return not passed and not self.unanswered

    def record(self) -> dict[str, Any]:
        """The attempt as JSON: what the figures are made of, and what was said."""
        return {
            "id": self.exercise.id,
            "language": self.exercise.language,
            "verdicts": [str(run.verdict) for run in self.runs],
            "tests_passed": [run.passed for run in self.runs],
            "malformed": self.malformed,
            "unfinished": sum(text is None for text in self.responses),
            "responses": self.responses,
            "files": self.files,
        }


def record_path(folder: Path, exercise_id: str) -> Path:
    """Where an exercise's record is stored."""
    return folder / "exercises" / f"{exercise_id.replace('/', '-')}.json"


def work_on(
    exercises: Sequence[tuple[Exercise, int]],
    ask: AskModel,
    folder: Path,
    form: EditFormat = "diff",
    settings: SandboxSettings | None = None,
) -> None:
    """Give every exercise its tries and store a record of each; what has one is passed over.

    exercises: with the number of tests that the example solution passes.
    """
    atomic.make_folder(folder / "exercises")
    left = [each for each in exercises if not record_path(folder, each[0].id).exists()]
    for start in range(0, len(left), BLOCK):
        attempts = [_begun(*each, form) for each in left[start : start + BLOCK]]
        for number in range(NUM_TRIES):
            open_ones = [attempt for attempt in attempts if attempt.is_open]
            _edit(open_ones, ask, number, form)
            open_ones = [attempt for attempt in open_ones if not attempt.unanswered]
            _test(open_ones, settings)
            for attempt in open_ones:
                output = attempt.runs[-1].output
                said = ask_to_repair(attempt.exercise, attempt.files, output)
                attempt.turns.append(Turn("user", said))
        for attempt in attempts:
            if not attempt.unanswered:
                path = record_path(folder, attempt.exercise.id)
                atomic.write_json(path, attempt.record())


def _begun(exercise: Exercise, wanted: int, form: EditFormat) -> Attempt:
    first = Turn("user", ask_first(exercise, form))
    return Attempt(exercise, wanted, dict(exercise.solution), [first])


def _edit(attempts: Sequence[Attempt], ask: AskModel, number: int, form: EditFormat) -> None:
    """Ask for edits and apply them; ask again where some failed."""
    waiting = list(attempts)
    for reflection in range(MAX_REFLECTIONS + 1):
        if not waiting:
            return
        questions = [
            OpenConversation(f"{a.exercise.id}/{number}/{reflection}", tuple(a.turns))
            for a in waiting
        ]
        again = []
        for attempt, (response,) in zip(waiting, ask(questions), strict=True):
            if isinstance(response, NoReply):
                attempt.unanswered = True
                continue
            done = apply_response(response or "", attempt.files, form, attempt.exercise.protected)
            _take(attempt, response, done)
            if done.failures and reflection < MAX_REFLECTIONS:
                attempt.turns.append(Turn("user", tell_failures(done.message)))
                again.append(attempt)
        waiting = again


def _take(attempt: Attempt, response: str | None, done: Edited) -> None:
    attempt.responses.append(response)
    attempt.turns.append(Turn("assistant", response or ""))
    attempt.malformed += [failure.kind for failure in done.failures]
    attempt.files = done.files


def _test(attempts: Sequence[Attempt], settings: SandboxSettings | None) -> None:
    def tested(attempt: Attempt) -> Graded:
        return run_tests(attempt.exercise, attempt.files, attempt.wanted, settings)

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        for attempt, run in zip(attempts, pool.map(tested, attempts), strict=True):
            attempt.runs.append(run)
