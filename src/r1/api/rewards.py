"""`r1.verify` and `r1.reward`: the verifiers and rewards as plain functions, without torch."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

import r1.rewards as library
from r1.errors import UserError
from r1.rewards.library import answer_reward
from r1.rewards.registry import verifier_names
from r1.types import Score

_ENDING = "_reward"


def verify(answer: str, reference: str, verifier: str = "math", **options: Any) -> Score:
    """Judge the answer in a text against a reference; return its value, outcome and detail.

    answer: a bare answer, or a whole response, read as `r1.rewards.library` says. verifier: as a
    recipe's `verifier`. options: of `r1.rewards.answer_reward` (answer_from, metadata, opened,
    question). Raises UserError for an unknown verifier, or a reference that it cannot read.
    """
    return answer_reward(answer, reference, verifier, **options)


def reward(name: str) -> Callable[..., Score]:
    """Return a reward as a function of a text: "math", "exact", "choice", "code", "format",
    "language", or any verifier's name.

    Its further arguments are those of `r1.rewards.<name>_reward` (a reference, tests, options).
    Raises UserError for an unknown name.
    """
    own = [known.removesuffix(_ENDING) for known in dir(library) if known.endswith(_ENDING)]
    own = [known for known in own if known not in ("answer", "trl")]
    if name in own:
        return getattr(library, name + _ENDING)  # type: ignore[no-any-return]
    if name in verifier_names():
        return partial(answer_reward, verifier=name)
    known = sorted({*own, *verifier_names()})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
    raise UserError(f"no reward is called {name!r}; {hint}")
