"""Settings that every algorithm has (torch-free). Defaults are R1-Zero's (paper.md, v2 B.4).

An algorithm's own settings class adds what it alone has; a recipe's section of the algorithm's name
([grpo], [rloo], ...) holds both.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from r1.config import Settings


class AlgorithmSettings(Settings):
    """How a batch is sampled, split into optimiser steps and held to the reference policy.

    passes_before: whether policy and reference go over the whole batch before each update, for
    advantages that need their numbers. has_critic: whether it learns values, and reports
    `explained_variance`.
    """

    passes_before: ClassVar[bool] = False
    has_critic: ClassVar[bool] = False
    only_with: ClassVar = {
        "aggregate_constant": ("aggregate", ("constant",)),
        "overlong_buffer": ("overlong", ("penalty",)),
    }

    num_problems: int = Field(32, ge=1, description="problems a step")
    group_size: int = Field(16, ge=1, description="samples a problem, G")
    num_minibatches: int = Field(1, ge=1, description="optimiser steps a batch is split into")
    num_epochs: int = Field(1, ge=1, description="passes over each rollout batch")
    kl_weight: float = Field(0.001, ge=0.0, description="weight of the KL to the reference; 0 none")
    reference_every: int = Field(
        400, ge=0, description="updates after which the policy becomes the reference; 0 never"
    )
    aggregate: Literal["sequence", "token", "constant"] = Field(
        "sequence",
        description='how token losses are averaged: "sequence" over the tokens of a response, then '
        'over responses; "token" over all tokens of the batch (DAPO); "constant" sums the tokens '
        "of a response and divides by aggregate_constant (Dr. GRPO)",
    )
    aggregate_constant: int = Field(1024, ge=1, description='divisor of "constant", in tokens')
    dynamic_sampling: int = Field(
        0, ge=0, description="extra rounds of sampling in place of groups without signal (DAPO)"
    )
    overlong: Literal["keep", "mask", "penalty"] = Field(
        "keep",
        description='responses cut at the token limit: "keep" them, "mask" them out of the loss, '
        'or charge a "penalty" in the last overlong_buffer tokens (DAPO)',
    )
    overlong_buffer: int = Field(0, ge=0, description="tokens before the limit that are charged")
    importance_cap: float = Field(
        0.0,
        ge=0.0,
        description="largest weight that corrects for the engine's probabilities (truncated "
        "importance sampling); 0 corrects nothing",
    )
    staleness: int = Field(
        0, ge=0, description="batches sampled ahead, so updates that a sample may be behind at most"
    )
    partial_rollouts: bool = Field(
        False, description="replace weights in the midst of responses that are sampled ahead"
    )

    @property
    def needs_reference(self) -> bool:
        """Whether the reference policy must be kept and computed."""
        return self.kl_weight > 0

    @property
    def needed_reward_model(self) -> str | None:
        """Which of the recipe's reward models it cannot do without, if any."""
        return None

    @property
    def teacher_model(self) -> str | None:
        """The model that takes the reference's place, as the section names it; None without one."""
        return None

    def teaches_nothing(self, num_steps: int) -> str | None:
        """Why a run of so many steps leaves the policy as it was; None where it learns."""
        return None

    @model_validator(mode="after")
    def _consistent(self) -> AlgorithmSettings:
        if self.overlong == "penalty" and self.overlong_buffer == 0:
            raise ValueError('overlong = "penalty" needs overlong_buffer above 0')
        if self.staleness and not self.importance_cap:
            raise ValueError(
                f"staleness = {self.staleness} learns from samples of older weights; set "
                "importance_cap (2.0, say) to correct for that"
            )
        if self.partial_rollouts and not self.staleness:
            raise ValueError(
                "partial_rollouts replaces weights while later batches are sampled; set "
                "staleness to 1 or more, or leave partial_rollouts out"
            )
        return self
