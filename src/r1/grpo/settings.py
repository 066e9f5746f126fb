"""Settings of the GRPO objective (torch-free). Defaults are R1-Zero's (paper.md, v2 B.4)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.config import Settings


class GRPOSettings(Settings):
    """Every switch of the one loss.

    ratio: "token" (DeepSeekMath), "sequence" (R1's equation 1, literal), "sequence_mean" (GSPO).
    aggregate: "sequence" (mean over a response's tokens, then over responses), "token" (mean over
        all tokens of the batch, DAPO), "constant" (sum over tokens / aggregate_constant per
        response, Dr. GRPO).
    """

    num_problems: int = Field(32, ge=1, description="problems a step")
    group_size: int = Field(16, ge=2, description="samples a problem, G")
    ratio: Literal["token", "sequence", "sequence_mean"] = "token"
    aggregate: Literal["sequence", "token", "constant"] = "sequence"
    aggregate_constant: int = Field(1024, ge=1, description='denominator of "constant", in tokens')
    clip_low: float = Field(0.2, ge=0.0, description="at 1 or more nothing is clipped below")
    clip_high: float = Field(0.2, ge=0.0)
    kl: Literal["k1", "k2", "k3"] = "k3"
    kl_weight: float = Field(0.001, ge=0.0)
    reference_every: int = Field(400, ge=0, description="reference <- policy every N; 0 never")
    std: Literal["population", "sample", "none"] = "population"
    std_epsilon: float = Field(1e-6, ge=0.0)
    num_minibatches: int = Field(1, ge=1, description="optimiser steps a batch is split into")
    num_epochs: int = Field(1, ge=1, description="passes over each rollout batch")
    dynamic_sampling: int = Field(0, ge=0, description="extra rounds for groups without signal")
    overlong: Literal["keep", "mask", "penalty"] = "keep"
    overlong_buffer: int = Field(0, ge=0, description="tokens before the limit that are charged")
    importance_cap: float = Field(0.0, ge=0.0, description="truncated importance weight; 0 is off")
    staleness: int = Field(
        0, ge=0, description="batches sampled ahead, so updates that a sample may be behind at most"
    )
    partial_rollouts: bool = Field(
        False, description="responses under way go on under newer weights"
    )

    @model_validator(mode="after")
    def _consistent(self) -> GRPOSettings:
        if self.overlong == "penalty" and self.overlong_buffer == 0:
            raise ValueError('grpo.overlong = "penalty" needs grpo.overlong_buffer above 0')
        if self.staleness and not self.importance_cap:
            raise ValueError(
                f"grpo.staleness = {self.staleness} learns from samples of older weights; set "
                "grpo.importance_cap (2.0, say) to correct for that"
            )
        if self.partial_rollouts and not self.staleness:
            raise ValueError(
                "grpo.partial_rollouts replaces weights while later batches are sampled; set "
                "grpo.staleness to 1 or more, or leave partial_rollouts out"
            )
        return self
