"""Settings of the rewards and of the processes that compute them (torch-free)."""

from __future__ import annotations

import difflib
from typing import Literal

from pydantic import Field, field_validator

from r1.config import Settings
from r1.judge.settings import JudgeSettings
from r1.rewards.code.settings import CodeSettings

AnswerSource = Literal["answer", "tag", "boxed", "stated", "text"]


class RewardSettings(Settings):
    """Which rewards are summed with which weights, and how their workers are kept in bounds.

    weights: reward name -> weight, e.g. `[rewards.weights] accuracy = 1.0, format = 1.0` (the
        paper's R1-Zero: equal weights). A weight may be negative; 0 computes and shows a reward
        without paying it.
    families: family of problems -> the weights that replace `weights` for it, whole: what is not
        named there is not computed for its problems (`[rewards.families.dialogue] format = 1.0`).
        None at all leaves a family to the recipe's reward models.
    answer_from: where the answer to judge stands. "answer": the <answer> of a well-formed
        response; "tag": the only <answer> block even where the form around it is broken;
        "boxed": the last \\boxed{} after the thinking; "stated": the answer stated last, in
        whatever form (r1.rewards.stated), for evaluating models that were not taught a form;
        "text": everything after the thinking.
        A problem's metadata["answer_from"] overrides it.
    """

    weights: dict[str, float] = Field(default_factory=lambda: {"accuracy": 1.0, "format": 1.0})
    families: dict[str, dict[str, float]] = Field(default_factory=dict)
    answer_from: AnswerSource = "answer"
    partial_credit: bool = Field(
        False, description="pay reasoning-gym's scores between 0 and 1 instead of 0"
    )
    num_workers: int = Field(1, ge=1, description="worker processes")
    timeout_s: float = Field(5.0, gt=0.0, description="wall clock for one reward of one response")
    worker_memory_mb: int = Field(2048, ge=512, description="address space of one worker")
    recycle_after: int = Field(20_000, ge=1, description="scores after which a worker is replaced")
    max_pending: int = Field(64, ge=1, description="groups waiting before submitting blocks")
    alarm_share: float = Field(
        0.02, ge=0.0, le=1.0, description="share of scores without verdict that raises the alarm"
    )
    code: CodeSettings = CodeSettings()
    judge: JudgeSettings | None = Field(
        None, description='the language model behind the verifier and the reward "judge"'
    )
    plugins: tuple[str, ...] = Field(
        (), description="modules of one's own that register rewards or verifiers when imported"
    )

    @field_validator("weights")
    @classmethod
    def _not_empty(cls, weights: dict[str, float]) -> dict[str, float]:
        if not weights:
            raise ValueError("no reward is named; e.g. weights = {accuracy = 1.0, format = 1.0}")
        return weights

    @classmethod
    def hint_for_unknown(cls, key: str) -> str | None:
        """A reward's name, written where `weights` belongs."""
        from r1.rewards.registry import reward_names

        near = difflib.get_close_matches(key, reward_names(), n=1, cutoff=0.6)
        return f"did you mean rewards.weights.{near[0]}?" if near else None

    @property
    def names(self) -> list[str]:
        """Every reward that some family of problems is judged by."""
        tables = (self.weights, *self.families.values())
        return list(dict.fromkeys(name for table in tables for name in table))

    def weights_of(self, family: str) -> dict[str, float]:
        """The weights that hold for the problems of a family."""
        return self.families.get(family, self.weights)

    def validate_names(self) -> None:
        """Raise UserError for a reward that no module registers, with the nearest one that does."""
        from r1.errors import UserError
        from r1.plugins import import_plugins
        from r1.rewards.registry import reward_names

        import_plugins(self.plugins)
        valid = reward_names()
        tables = {"weights": self.weights}
        tables |= {f"families.{family}": weights for family, weights in self.families.items()}
        for table, name in ((table, name) for table, names in tables.items() for name in names):
            if name not in valid:
                near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(valid)}."
                raise UserError(f"rewards.{table}: unknown reward {name!r}; {hint}")
