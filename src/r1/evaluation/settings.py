"""Settings of an evaluation (torch-free). Defaults follow the paper's protocol (paper.md)."""

from __future__ import annotations

from pydantic import Field

from r1.config import Settings
from r1.rollout.settings import SamplingSettings

DECISIVE_REWARDS = {"weights", "families", "answer_from", "plugins"}
"""The settings of the rewards that an evaluation's figures follow from."""


class EvaluationSettings(Settings):
    """k samples a problem at T = 0.6 and top-p 0.95: pass@1 is their mean, cons@k their vote.

    The paper draws k = 64 for small benchmarks (AIME, GPQA), 16 for middling and 8 for large ones.
    """

    num_samples: int = Field(16, ge=1, description="samples of each problem, k")
    temperature: float = Field(
        0.6,
        ge=0.0,
        description="divides the logits; 0 is greedy decoding, for which k = 1 is enough",
    )
    top_p: float = Field(
        0.95,
        gt=0.0,
        le=1.0,
        description="sample from the most likely tokens that together have this probability",
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        description="longest response, in tokens; by default that of the training rollouts",
    )
    every: int = Field(
        0, ge=0, description="evaluate after so many steps; 0: only at the start and the end"
    )
    seed: int = Field(
        0, ge=0, description="decides every sample, independently of the training's seed"
    )

    def sampling(self, training: SamplingSettings) -> SamplingSettings:
        """Return how samples are drawn; `training` gives the stop strings and the limit."""
        return SamplingSettings(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=0,
            max_new_tokens=self.max_new_tokens or training.max_new_tokens,
            stop=training.stop,
        )
