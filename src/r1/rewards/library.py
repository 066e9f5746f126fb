r"""The rewards as plain functions, for scripts, notebooks and other trainers; without torch.

    from r1.rewards import math_reward
    score = math_reward(r"… so it is \boxed{\frac12}.", "0.5")
    score.value, score.outcome                    # 1.0, Outcome.CORRECT

Nothing here hangs: symbolic mathematics and verifiers of your own run in worker processes, which
start with the first call that needs them, obey `timeout_s`, and end with this process. Plain
numbers are compared at once. `configure` changes the workers' settings.

The answer is read where the text puts it: its single `<answer>` block, else the last `\boxed{}`
after the thinking, else a last line `#### 18` or `Answer: 34`, else all text after the thinking.
`answer_from="stated"` reads the answer stated last, in whatever form. `opened=True` says that the
prompt ended in `<think>`: then nothing is judged before the `</think>`.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from r1.errors import UserError
from r1.rewards.accuracy import check_reference, judge_answer, make_accuracy
from r1.rewards.combine import PoolCounts
from r1.rewards.math.verifier import PLAIN_NUMBER
from r1.rewards.names import import_rewards
from r1.rewards.pool import GroupHandle, RewardPool
from r1.rewards.protocol import RewardFunction
from r1.rewards.reading import read_answer
from r1.rewards.registry import (
    PromptForm,
    find_verifier,
    make_reward,
    register_reward,
)
from r1.rewards.settings import AnswerSource, RewardSettings
from r1.rewards.stated import doubts_its_box, is_final_form
from r1.types import Completion, Outcome, Problem, RolloutGroup, Score

CHECKED = "checked_accuracy"
_DEFAULTS = RewardSettings(weights={CHECKED: 1.0})
_lock = threading.Lock()
_settings = _DEFAULTS
_pool: RewardPool | None = None


def math_reward(
    text: str,
    reference: str,
    *,
    question: str = "",
    answer_from: AnswerSource | None = None,
    opened: bool = False,
) -> Score:
    """Return 1 if the answer in a text mathematically equals the reference (r1.rewards.math).

    question: a formula copied from it is not paid. answer_from: where the answer must stand.
    Raises UserError for a reference that cannot be verified.
    """
    return answer_reward(
        text, reference, "math", question=question, answer_from=answer_from, opened=opened
    )


def choice_reward(
    text: str,
    reference: str,
    options: Sequence[str] | None = None,
    *,
    answer_from: AnswerSource | None = None,
    opened: bool = False,
) -> Score:
    """Return 1 if the text chooses the reference, a letter or an option (r1.rewards.choice)."""
    metadata = {} if options is None else {"options": list(options)}
    problem = _problem("choice", reference, metadata)
    return _judge_here(problem, reopened(text, opened), answer_from)


def exact_reward(
    text: str,
    reference: str,
    aliases: Sequence[str] = (),
    *,
    case: bool = False,
    answer_from: AnswerSource | None = None,
    opened: bool = False,
) -> Score:
    """Return 1 if the answer is the reference or an alias when normalised (r1.rewards.exact)."""
    problem = _problem("exact", reference, {"aliases": list(aliases), "case": case})
    return _judge_here(problem, reopened(text, opened), answer_from)


def format_reward(text: str, *, opened: bool = False) -> Score:
    """Return 1 for `<think> … </think> <answer> … </answer>` and nothing else. opened: the prompt
    ended in `<think>`."""
    reward = make_reward("format", _DEFAULTS, PromptForm(opened=opened))
    return reward(_problem("exact", "", {}), _completion(text))


def language_reward(text: str, language: str = "en", *, opened: bool = False) -> Score:
    """Return the language's share of the words in the thinking (see r1.rewards.language)."""
    from r1.rewards.language import language_reward as judge

    return judge(text, language, opened=opened)


def code_reward(
    text: str,
    tests: Sequence[Mapping[str, Any] | str] | Mapping[str, Any],
    language: str = "python",
    *,
    opened: bool = False,
    **task: Any,
) -> Score:
    """Return 1 if a text's program passes all tests in the sandbox (r1.rewards.code.problem).

    tests: [{"input": "1 2", "output": "3"}] for programs that read and print, or APPS's {"inputs":
    [...], "outputs": [...]}; other kinds and further keys of the task as r1.rewards.code.problem
    has them. Raises UserError for a task that makes no sense and where this machine cannot run the
    language.
    """
    from r1.rewards.code.verifier import code_reward as judge

    given: Any = tests
    if not isinstance(tests, Mapping):
        given = [dict(test) if isinstance(test, Mapping) else test for test in tests]
    return judge(reopened(text, opened), {"language": language, "tests": given, **task})


def answer_reward(
    text: str,
    reference: str | None,
    verifier: str = "math",
    *,
    question: str = "",
    answer_from: AnswerSource | None = None,
    metadata: Mapping[str, Any] | None = None,
    opened: bool = False,
) -> Score:
    """Judge the answer in a text by any verifier, in a worker.

    Raises UserError where the verifier is unknown or refuses the reference.
    """
    problem = _problem(verifier, reference, dict(metadata or {}), question)
    [score] = answer_rewards([reopened(text, opened)], [problem], answer_from=answer_from)
    return score


def answer_rewards(
    texts: Sequence[str], problems: Sequence[Problem], *, answer_from: AnswerSource | None = None
) -> list[Score]:
    """Judge text i as an answer to problem i; a large batch keeps all workers busy."""
    scores = judge_all(texts, problems, answer_from=answer_from)
    for score in scores:
        if reason := refusal(score):
            raise UserError(reason)
    return scores


def judge_all(
    texts: Sequence[str], problems: Sequence[Problem], *, answer_from: AnswerSource | None = None
) -> list[Score]:
    """As answer_rewards, but a reference that cannot be verified gives a score without a verdict.

    Raises UserError where a verifier is unknown.
    """
    if len(texts) != len(problems):
        raise UserError(f"{len(texts)} texts for {len(problems)} problems; give one of each.")
    import_rewards(_settings.plugins)
    found: list[Score | GroupHandle] = []
    for text, problem in zip(texts, problems, strict=True):
        problem = _with_source(problem, text, answer_from)
        found.append(_judge_number(problem, text) or _submit(problem, text))
    return [_settled(each) for each in found]


def refusal(score: Score) -> str | None:
    """Return why a score's problem could not be judged, or None."""
    failed = score.outcome is Outcome.VERIFIER_FAILED
    return (score.detail.partition("UserError: ")[2] or None) if failed else None


def reopened(text: str, opened: bool) -> str:
    """Return a response with the `<think>` that its prompt already contained."""
    return "<think>" + text if opened and not text.lstrip().startswith("<think>") else text


def configure(settings: RewardSettings | None = None) -> None:
    """Set the workers' settings from now on (None: the defaults). Stops running workers.

    Of the settings, weights and families mean nothing here. Raises UserError for a plugin that
    cannot be imported.
    """
    global _settings
    chosen = settings or _DEFAULTS
    import_rewards(chosen.plugins)  # its verifiers have names from now on
    close()
    _settings = chosen.model_copy(update={"weights": {CHECKED: 1.0}, "families": {}})


def counts() -> PoolCounts:
    """Return the workers' outcomes and restarts since the last call."""
    with _lock:
        return _pool.take_counts() if _pool is not None else PoolCounts()


def close() -> None:
    """Stop the workers; the next call starts them again."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


# Behind them --------------------------------------------------------------------------------------


def _problem(
    verifier: str, reference: str | None, metadata: dict[str, Any], question: str = ""
) -> Problem:
    return Problem("library", question, reference, verifier, metadata=metadata)


def _completion(text: str) -> Completion:
    return Completion([], [], text, "stop")


def _with_source(problem: Problem, text: str, answer_from: AnswerSource | None) -> Problem:
    source = answer_from or problem.metadata.get("answer_from")
    source = source or find_verifier(problem.verifier).answer_from or find_source(text)
    metadata = {**problem.metadata, "answer_from": source}
    return Problem(
        problem.id,
        problem.prompt,
        problem.reference,
        problem.verifier,
        problem.language,
        problem.family,
        metadata,
    )


def find_source(text: str) -> AnswerSource:
    """Return where a text puts its answer."""
    if "<answer>" in text:
        return "tag"
    after = text.rpartition("</think>")[2]
    if "\\boxed" in after:
        return "stated" if doubts_its_box(after) else "boxed"
    return "stated" if is_final_form(after) else "text"


def _judge_here(problem: Problem, text: str, answer_from: AnswerSource | None) -> Score:
    """Judge in this process; only for verifiers that take linear time."""
    if reason := check_reference(problem):
        raise UserError(reason)
    problem = _with_source(problem, text, answer_from)
    verifier = find_verifier(problem.verifier)
    return judge_answer(problem, _completion(text), verifier, _DEFAULTS, PromptForm())


def _judge_number(problem: Problem, text: str) -> Score | None:
    """Return the score if both sides are plain numbers; None if a worker must judge."""
    reference = problem.reference or ""
    if problem.verifier != "math" or not PLAIN_NUMBER.fullmatch(reference):
        return None
    answer = read_answer(_completion(text), problem.metadata["answer_from"], PromptForm())
    if answer is None or not PLAIN_NUMBER.fullmatch(answer):
        return None
    verifier = find_verifier(problem.verifier)
    return judge_answer(problem, _completion(text), verifier, _DEFAULTS, PromptForm())


def _submit(problem: Problem, text: str) -> GroupHandle:
    return _open_pool().submit_group(RolloutGroup(problem, (), [_completion(text)]))


def _settled(found: Score | GroupHandle) -> Score:
    if isinstance(found, Score):
        return found
    return found.result().rewards[0].parts[CHECKED]


def _open_pool() -> RewardPool:
    global _pool
    with _lock:
        if _pool is None:
            _pool = RewardPool(_settings)
        return _pool


def _forget_pool() -> None:
    """Forget the pool after a fork: its workers and threads belong to the parent."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


def _make_checked(settings: RewardSettings, form: PromptForm) -> RewardFunction:
    """Build an accuracy reward that checks the reference too, as a recipe does before it starts."""
    accuracy = make_accuracy(settings, form)
    known: dict[tuple[str, str | None], str | None] = {}

    def score(problem: Problem, completion: Completion) -> Score:
        key = (problem.verifier, problem.reference)
        if problem.metadata.keys() - {"answer_from"} or key not in known:
            known[key] = check_reference(problem, settings)
        if reason := known[key]:
            raise UserError(reason)
        return accuracy(problem, completion)

    return score


register_reward(CHECKED, _make_checked)
atexit.register(close)
os.register_at_fork(after_in_child=_forget_pool)
