"""Which function estimates which kind of recipe or stage. A new kind is a function and one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import (
    evaluation,
    examples,
    mixture,
    preferences,
    rejection,
    review,
    written,
)
from r1.plan.training import r1_zero, reward_model, sft

KINDS: dict[str, Callable[[str, Any, Context], Estimate]] = {
    "r1_zero": r1_zero,
    "sft": sft,
    "reward_model": reward_model,
    "rejection": rejection,
    "prompted": written,
    "refined": written,
    "review": review,
    "examples": examples,
    "mixture": mixture,
    "preferences": preferences,
    "evaluation": evaluation,
}
