"""Registries: rewards by name (for recipes) and verifiers by name (for problems).

A reward or verifier is a file in this package that registers itself when imported; other modules
are named in `rewards.plugins`. Heavy libraries of a verifier load in its `warm`, inside a worker,
never here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from r1.data.rows import NEEDS_NO_REFERENCE
from r1.errors import UserError
from r1.plugins import note_registration
from r1.rewards.batch_reward import BatchReward, as_factory
from r1.rewards.names import REWARDS, import_built_in
from r1.rewards.protocol import PromptForm as PromptForm
from r1.rewards.protocol import RewardFactory, RewardFunction
from r1.rewards.settings import AnswerSource, RewardSettings
from r1.types import Problem, Score


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Verifier:
    """The functions that check one kind of answer. Each must be pure and may crash or hang: they
    run in worker processes.

    score: (problem, answer, settings) -> Score; answer is stripped and not empty.
    check_reference: why a problem's reference can't be verified, or None.
    equal: whether two answers are the same answer (for majority votes); symmetric, cheap.
    warm: loads what score needs, outside its wall clock.
    boxes: whether its answers fit into \\boxed{}; those of a verifier without (programs) are read
        from all that follows the thinking where the settings say "boxed".
    answer_from: where this verifier reads the answer whatever the settings say, or None.
    check_machine: why this machine cannot judge a problem under these settings, or None.
    time_limit_s: the wall clock of one score where it is not `rewards.timeout_s`.
    reads: the metadata that it reads as plain values, or None: it is given every column.
    reads_json: further metadata, lists and tables, which data may also hold as JSON text.
    needs_reference: whether it compares with the reference, rather than with metadata.
    """

    score: Callable[[Problem, str, RewardSettings], Score]
    check_reference: Callable[[Problem], str | None]
    equal: Callable[[str, str], bool]
    warm: Callable[[], None] = _nothing
    boxes: bool = True
    answer_from: AnswerSource | None = None
    check_machine: Callable[[Problem, RewardSettings], str | None] | None = None
    time_limit_s: Callable[[Problem, RewardSettings], float] | None = None
    reads: tuple[str, ...] | None = None
    reads_json: tuple[str, ...] = ()
    needs_reference: bool = True


PLAIN_FORM = PromptForm()
_VERIFIERS: dict[str, Verifier] = {}


def register_verifier(name: str, verifier: Verifier) -> None:
    """Register a verifier under the name that problems carry."""
    _refuse_taken(name, _VERIFIERS, "verifier")
    _VERIFIERS[name] = verifier
    note_registration(name)
    if not verifier.needs_reference:
        NEEDS_NO_REFERENCE.add(name)


def _refuse_taken(name: str, known: Mapping[str, object], what: str) -> None:
    if name in known:
        raise UserError(
            f"the {what} {name!r} is registered twice; give that of your plugin another name."
        )


def register_reward(name: str, factory: RewardFactory | BatchReward) -> None:
    """Register a reward under the name that recipes give weights to.

    factory: (settings, form) -> RewardFunction, or a reward function of TRL's
    (`r1.rewards.batch_reward`). Raises UserError for what is neither.
    """
    _refuse_taken(name, REWARDS, "reward")
    REWARDS[name] = as_factory(name, factory)
    note_registration(name)


def find_verifier(name: str) -> Verifier:
    """Return a verifier; UserError for an unknown name, with the nearest known one."""
    verifier = registered_verifier(name)
    if verifier is None:
        near = difflib.get_close_matches(name, _VERIFIERS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(verifier_names())}."
        raise UserError(f"unknown verifier {name!r}; {hint}")
    return verifier


def registered_verifier(name: str) -> Verifier | None:
    """Return a verifier, or None if no file registered one of this name."""
    import_built_in()
    return _VERIFIERS.get(name)


def time_limit_s(problem: Problem, settings: RewardSettings) -> float:
    """Return the wall clock for scoring one response to a problem, in seconds."""
    verifier = registered_verifier(problem.verifier)
    if verifier is None or verifier.time_limit_s is None:
        return settings.timeout_s
    return verifier.time_limit_s(problem, settings)


def make_reward(
    name: str, settings: RewardSettings, form: PromptForm = PLAIN_FORM
) -> RewardFunction:
    """Build a registered reward. Raises UserError for a name that nothing imported registers."""
    import_built_in()
    if name not in REWARDS:
        raise UserError(f"reward {name!r}: name its module in rewards.plugins.")
    factory = as_factory(name, REWARDS[name])
    return factory(settings, form)


def verifier_names() -> list[str]:
    """Return the names that a problem's `verifier` may have."""
    import_built_in()
    return sorted(_VERIFIERS)
