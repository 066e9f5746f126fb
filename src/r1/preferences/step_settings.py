"""Settings of labelling steps with a policy's own continuations (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings
from r1.curation.settings import CallSettings, ShardSettings
from r1.rollout.settings import SamplingSettings
from r1.steps.split import LINE


class StepLabelSettings(Settings):
    """Solutions of a checkpoint, each step labelled by how its continuations end."""

    seed: int = Field(0, ge=0, description="decides the solutions and their continuations")
    method: Literal["monte_carlo", "binary_search", "oracle"] = Field(
        "monte_carlo",
        description='"monte_carlo": continuations from every step (Math-Shepherd); '
        '"binary_search": as many as find the first error of wrong solutions (OmegaPRM); '
        '"oracle": the tiny world\'s truth, without continuations',
    )
    num_samples: int = Field(4, ge=1, description="solutions of each problem")
    rollouts: int = Field(8, ge=1, description="continuations from a step, N")
    labels: Literal["soft", "hard"] = Field(
        "soft",
        description='"soft": share of the continuations that end right; "hard": 1 where one does',
    )
    separator: str = Field(
        LINE, min_length=1, description='what ends a step: "line", "blank_line", or a text'
    )
    sampling: SamplingSettings = SamplingSettings()
    call: CallSettings = CallSettings(prompts=32)
    shards: ShardSettings = ShardSettings()
    domains: dict[str, str] = Field(
        {}, description='domain of each family in the data card, such as { cups = "logic" }'
    )
