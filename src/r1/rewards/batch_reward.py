"""Functions of the user's as rewards of a recipe.

    def brevity(prompts, completions, **columns) -> list[float | None]: ...      TRL's form
    def brevity(problem, completion) -> float | Score | None: ...                one at a time
    register_reward("brevity", brevity)

TRL's form is called with one completion, as text, and the problem's columns, each a list of one:
`answer`, `solution`, `reference` and `ground_truth` hold the reference, the others are the
metadata; `prompts` holds the prompt, as turns where there are several. None means no verdict. A
value of 1 or more counts as correct, any other as wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from r1.errors import UserError
from r1.rewards.protocol import PromptForm, RewardFactory, RewardFunction
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score

BatchReward = Callable[..., "list[float | None]"]
REFERENCE_COLUMNS = ("answer", "solution", "reference", "ground_truth")


def as_factory(name: str, function: Callable[..., Any]) -> RewardFactory:
    """Return a reward's factory; a function in TRL's form is wrapped.

    Raises UserError for a function that is neither.
    """
    if not callable(function):
        raise UserError(f"reward {name!r}: {function!r} is no function; register a function.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # built in: nothing to see, and it may be called with anything
        return function
    named = signature.parameters
    if "completions" in named:
        if inspect.iscoroutinefunction(function):
            raise UserError(f"reward {name!r} is an async function; make it a plain one.")
        return _make_factory(name, function, named)
    if list(named)[:2] == ["problem", "completion"]:
        return lambda settings, form: _one_at_a_time(name, function)
    try:
        signature.bind(RewardSettings(), PromptForm())
    except TypeError as error:
        raise UserError(
            f"reward {name!r}: {function.__name__}{signature} takes neither (settings, form) nor "
            f"TRL's (prompts, completions, **columns), nor (problem, completion) ({error}); give "
            "it one of these signatures."
        ) from None
    return function


def _one_at_a_time(name: str, function: Callable[..., Any]) -> RewardFunction:
    def score(problem: Problem, completion: Completion) -> Score:
        found = function(problem, completion)
        return found if isinstance(found, Score) else _read_values(name, [found])

    return score


def _make_factory(
    name: str, function: BatchReward, named: Any
) -> Callable[[RewardSettings, PromptForm], RewardFunction]:
    takes_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in named.values())

    def make(settings: RewardSettings, form: PromptForm) -> RewardFunction:
        def score(problem: Problem, completion: Completion) -> Score:
            columns = {key: [value] for key, value in problem.metadata.items()}
            columns |= {key: [problem.reference] for key in REFERENCE_COLUMNS}
            columns |= {"prompts": [_asked(problem)], "completions": [completion.text]}
            given = columns if takes_all else {k: v for k, v in columns.items() if k in named}
            return _read_values(name, function(**given))

        return score

    return make


def _asked(problem: Problem) -> str | list[dict[str, str]]:
    """The prompt, as turns where there are several, as TRL gives it."""
    if not problem.earlier:
        return problem.prompt
    turns = (*problem.earlier, ("user", problem.prompt))
    return [{"role": role, "content": text} for role, text in turns]


def _read_values(name: str, values: Sequence[float | None] | Any) -> Score:
    """Return the value of a batch of one; anything else is a failure of the reward."""
    listed = values.tolist() if hasattr(values, "tolist") else values
    if not isinstance(listed, list | tuple) or len(listed) != 1:
        return Score(
            0.0, Outcome.VERIFIER_FAILED, f"{name} returned {values!r} for one completion"[:200]
        )
    if listed[0] is None:
        return Score(0.0, Outcome.VERIFIER_FAILED, f"{name} has no verdict")
    value = float(listed[0])
    return Score(value, Outcome.CORRECT if value >= 1.0 else Outcome.WRONG)
