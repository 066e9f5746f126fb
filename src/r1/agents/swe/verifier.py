"""The verifier "repository": a response's SEARCH/REPLACE edits, judged by a repository's tests.

    [rewards]
    plugins = ["r1.agents.swe.verifier"]
    weights = { accuracy = 1.0 }

The problem's metadata hold the repository as it is without git: `files` (path -> text), `shown`
(the paths that the prompt shows, which alone may change), `tests` (files that are laid over it
before anything runs), `fail_to_pass` and `pass_to_pass` (test ids). `r1.agents.swe.problems` makes
such problems of SWE-bench's rows. Correct is a response that resolves the task by SWE-bench's rules
(r1.agents.swe.status); one without usable edits is unparseable, and a machine that could not run
the tests is the verifier's failure.

Left out on purpose: partial credit for some of the tests, which rewards edits that break others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from r1.agents.swe.patches import is_test_path, with_tests_of
from r1.agents.swe.status import judge_statuses
from r1.agents.swe.tests import SUITE_TIMEOUT_S, run_suite
from r1.edits.apply import apply_response
from r1.edits.paths import path_fault
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Outcome, Problem, Score

NAME = "repository"
_TEXTS, _LISTS = ("files", "tests"), ("shown", "fail_to_pass", "pass_to_pass")


class RepositoryTask(NamedTuple):
    """The metadata of a problem, checked."""

    files: Mapping[str, str]
    tests: Mapping[str, str]
    shown: tuple[str, ...]
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]


def score_edits(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    """Apply an answer's edits and run the repository's tests on what they leave."""
    task = task_of(problem)
    shown = {path: task.files[path] for path in task.shown}
    edited = apply_response(answer, shown, "diff", [p for p in task.files if p not in shown])
    if edited.failures:
        failure = edited.failures[0]
        return Score(0.0, Outcome.UNPARSEABLE, f"{failure.kind}: {failure.message}")
    changed = {path: edited.files[path] for path in edited.changed}
    if all(task.files.get(path) == text for path, text in changed.items()):
        return Score(0.0, Outcome.UNPARSEABLE, "no edit changes anything")
    if new := [path for path in changed if path not in shown]:
        return Score(0.0, Outcome.UNPARSEABLE, f"{new[0]} is not among the files that were shown")
    return judge_files(task, {**task.files, **changed})


def judge_files(task: RepositoryTask, files: Mapping[str, str]) -> Score:
    """Run a task's tests on files; whatever of them decides how tests run is the repository's."""
    whole = {**with_tests_of(files, task.files), **task.tests}
    run = run_suite(whole, sorted(_test_files(task)))
    if not run.judged:
        return Score(0.0, Outcome.VERIFIER_FAILED, "this machine could not run the tests")
    verdict = judge_statuses(run.statuses, run.exit_code, task.fail_to_pass, task.pass_to_pass)
    if verdict.resolved:
        return Score(1.0, Outcome.CORRECT, f"{len(run.statuses)} tests")
    told = verdict.invalid or f"fail: {len(verdict.failed)}, broken: {len(verdict.broken)}"
    return Score(0.0, Outcome.WRONG, told)


def _test_files(task: RepositoryTask) -> set[str]:
    return {test.partition("::")[0] for test in (*task.fail_to_pass, *task.pass_to_pass)}


def task_of(problem: Problem) -> RepositoryTask:
    """The problem's task. Raises ValueError with what is wrong with its metadata."""
    found: dict[str, Any] = {name: problem.metadata.get(name) for name in (*_TEXTS, *_LISTS)}
    for name in _TEXTS:
        value = found[name]
        texts = isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
        if not texts or (name == "files" and not value):
            raise ValueError(f"metadata.{name} must map paths to the texts of files")
        for path in value:
            if (fault := path_fault(path)) is not None:
                raise ValueError(f"metadata.{name}: {path!r} {fault}")
    for name in _LISTS:
        value = found[name]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"metadata.{name} must be a list of texts")
    task = RepositoryTask(found["files"], found["tests"], *(tuple(found[name]) for name in _LISTS))
    if not task.fail_to_pass:
        raise ValueError("metadata.fail_to_pass is empty: nothing would tell right from wrong")
    if lost := _test_files(task) - task.files.keys() - task.tests.keys():
        raise ValueError(f"metadata: {sorted(lost)[0]} is named by a test id, and is not there")
    if not task.shown or not set(task.shown) <= task.files.keys():
        raise ValueError("metadata.shown must name paths of metadata.files")
    if hidden := [path for path in task.shown if is_test_path(path)]:
        raise ValueError(f"metadata.shown: {hidden[0]} decides how tests run, and may not change")
    return task


def check_task(problem: Problem) -> str | None:
    """Why a problem cannot be judged, or None."""
    try:
        task_of(problem)
    except ValueError as fault:
        return str(fault)
    return None


def _limit_s(problem: Problem, settings: RewardSettings) -> float:
    """Of a run that is repeated where the machine failed."""
    return 2.0 * SUITE_TIMEOUT_S + settings.timeout_s


register_verifier(
    NAME,
    Verifier(
        score_edits,
        check_task,
        str.__eq__,
        boxes=False,
        answer_from="text",
        time_limit_s=_limit_s,
        reads=(),
        reads_json=(*_TEXTS, *_LISTS),
        needs_reference=False,
    ),
)
