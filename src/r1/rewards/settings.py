"""Settings of the rewards and of the processes that compute them (torch-free)."""

from __future__ import annotations

import difflib
from typing import Literal

from pydantic import Field, field_validator

from r1.config import Settings
from r1.errors import UserError
from r1.judge.settings import JudgeSettings
from r1.rewards.code.settings import CodeSettings
from r1.rewards.names import import_rewards, reward_names

AnswerSource = Literal["answer", "tag", "boxed", "stated", "text", "last_line", "marker", "json"]


class RewardSettings(Settings):
    """The rewards that are summed, their weights, and the processes that compute them."""

    weights: dict[str, float] = Field(
        default_factory=lambda: {"accuracy": 1.0, "format": 1.0},
        description="weight of each reward in the sum, by name; may be negative, and 0 computes "
        "and shows a reward without paying it",
    )
    families: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="weights for a family of problems, in place of all of `weights`; an empty "
        "table leaves the family to the reward models",
    )
    answer_from: AnswerSource = Field(
        "answer",
        description='where the answer is read: <answer> of a well-formed response ("answer"), '
        'its only <answer> block ("tag"), or, after the thinking, the last \\boxed{} ("boxed"), '
        'what is stated last ("stated"), all ("text"), the last line ("last_line"), after '
        '"ANSWER:" ("marker") or JSON\'s field "answer" ("json"); metadata override it',
    )
    partial_credit: bool = Field(
        False, description="pay reasoning-gym's scores between 0 and 1, not 0 for all below 1"
    )
    num_workers: int = Field(1, ge=1, description="processes that compute rewards")
    timeout_s: float = Field(
        5.0,
        gt=0.0,
        description="longest time for one reward of one response, in seconds; waiting for a "
        "processor does not count",
    )
    late_s: float | None = Field(
        None,
        gt=0.0,
        description="a batch waits so long for a group's verdicts, in seconds; they join a later "
        "batch (with importance_cap) or are void. Left out, it waits for all",
    )
    worker_memory_mb: int = Field(
        2048, ge=512, description="address space that a worker process may use, in MB"
    )
    code: CodeSettings = CodeSettings()
    judge: JudgeSettings | None = Field(
        None,
        description='the language model behind the reward and the verifier called "judge"; left '
        "out, there is none",
    )
    plugins: tuple[str, ...] = Field(
        (),
        description="your own Python modules or files, which register rewards or verifiers; "
        '"my_file.py:brevity" makes the reward "brevity" of a function',
    )

    @field_validator("weights")
    @classmethod
    def _not_empty(cls, weights: dict[str, float]) -> dict[str, float]:
        if not weights:
            raise ValueError("no reward is named; e.g. weights = {accuracy = 1.0, format = 1.0}")
        return weights

    @classmethod
    def hint_for_unknown(cls, key: str) -> str | None:
        """Hint for a reward's name that was written outside `weights`."""
        near = difflib.get_close_matches(key, reward_names(), n=1, cutoff=0.6)
        return f"did you mean rewards.weights.{near[0]}?" if near else None

    @property
    def names(self) -> list[str]:
        """Return every reward that judges some family of problems."""
        tables = (self.weights, *self.families.values())
        return list(dict.fromkeys(name for table in tables for name in table))

    def weights_of(self, family: str) -> dict[str, float]:
        """Return the weights for the problems of a family."""
        return self.families.get(family, self.weights)

    def validate_names(self) -> None:
        """Raise UserError for a reward that no module registers; name the nearest."""
        import_rewards(self.plugins)
        valid = reward_names()
        tables = {"weights": self.weights}
        tables |= {f"families.{family}": weights for family, weights in self.families.items()}
        for table, name in ((table, name) for table, names in tables.items() for name in names):
            if name not in valid:
                near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(valid)}."
                raise UserError(f"rewards.{table}: unknown reward {name!r}; {hint}")
