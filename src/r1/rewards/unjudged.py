"""Problems without a rule (the verifier "none"), and checks that rewards fit their problems.

A greeting has no reference answer: its problem names the verifier "none", and its family has
rewards of its own (`[rewards.families.NAME]`, reward models) among which there is no accuracy.
Misfits are found before anything is sampled.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from r1.errors import UserError
from r1.rewards.exact import equal_exact
from r1.rewards.registry import Verifier, register_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Problem, Score

NONE = "none"
NEED_A_RULE = ("accuracy", "checked_accuracy", "judge")
"""Rewards that compare an answer with a reference."""


def check_families(
    settings: RewardSettings,
    problems: Iterable[Problem],
    models: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raise UserError if the rewards do not fit a run's problems, training or held-out.

    models: reward model -> the families it judges, empty for all of them.
    Mistakes are a table for a family without problems, a family that nothing judges, and what
    check_rules refuses.
    """
    problems = list(problems)
    check_rules(settings, problems)
    families = sorted({problem.family for problem in problems})
    judging = models or {}
    for family in settings.families:
        _check_known(f"rewards.families.{family}", family, families)
    for name, judged in judging.items():
        for family in judged:
            _check_known(f"reward_models.{name}.families", family, families)
    for family in families:
        judged_by_model = any(not judged or family in judged for judged in judging.values())
        if not settings.weights_of(family) and not judged_by_model:
            raise UserError(
                f"rewards.families.{family} is empty and no reward model judges the family; name "
                "a reward (format = 1.0), or add the family to a reward model."
            )


def check_rules(settings: RewardSettings, problems: Iterable[Problem]) -> None:
    """Raise UserError for problems with verifier "none" in a family rewarded for accuracy."""
    for problem in problems:
        wrong = [name for name in settings.weights_of(problem.family) if name in NEED_A_RULE]
        if problem.verifier == NONE and wrong:
            raise UserError(
                f'problem {problem.id} has the verifier "none" (no rule can judge its answer), '
                f'but its family "{problem.family}" has the reward "{wrong[0]}"; give the family '
                f"rewards without it: [rewards.families.{problem.family}] format = 1.0, for one."
            )


def _check_known(where: str, family: str, families: Sequence[str]) -> None:
    if family in families:
        return
    near = difflib.get_close_matches(family, families, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"families here: {', '.join(families)}."
    raise UserError(f"{where}: no problem has the family {family!r}; {hint}")


def _no_score(problem: Problem, answer: str, settings: RewardSettings) -> Score:
    raise UserError(f'problem {problem.id}: the verifier "none" judges no answer')


register_verifier(
    NONE, Verifier(_no_score, lambda problem: None, equal_exact, reads=(), needs_reference=False)
)
