"""The kinds of stages by name: the settings each takes and what it gives (torch-free).

What checks and runs them is in kinds.py.
"""

from __future__ import annotations

from r1.config import Settings
from r1.evaluate.battery_settings import EvaluationStageSettings
from r1.pipeline.graph import ArtifactType
from r1.pipeline.r1 import KindOf
from r1.pipeline.recipe import R1ZeroRecipe
from r1.pipeline.stage_settings import (
    ExamplesStage,
    MixtureStage,
    PreferencesStage,
    PromptedStage,
    RefinedStage,
    RejectionStage,
    ReviewStage,
)
from r1.reward_model.settings import RewardModelRecipe
from r1.sft.settings import SFTRecipe

_DATA_STAGES: dict[str, type[Settings]] = {
    "rejection": RejectionStage,
    "prompted": PromptedStage,
    "refined": RefinedStage,
    "review": ReviewStage,
    "examples": ExamplesStage,
    "mixture": MixtureStage,
    "preferences": PreferencesStage,
}

STAGE_KINDS: dict[str, KindOf] = {
    "r1_zero": KindOf(R1ZeroRecipe, {"checkpoint": ArtifactType.CHECKPOINT}),
    "sft": KindOf(SFTRecipe, {"checkpoint": ArtifactType.CHECKPOINT}),
    "reward_model": KindOf(RewardModelRecipe, {"reward_model": ArtifactType.REWARD_MODEL}),
    **{name: KindOf(of, {"data": ArtifactType.DATASET}) for name, of in _DATA_STAGES.items()},
    "evaluation": KindOf(EvaluationStageSettings, {"results": ArtifactType.RESULTS}, seed_at=()),
}
