"""The whole of a reinforcement-learning recipe (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.data.settings import DataSettings
from r1.evaluate.settings import EvaluationSettings
from r1.grpo.settings import GRPOSettings
from r1.learner.settings import LearnerSettings, OptimizerSettings, check_evaluation
from r1.reward_model.settings import RewardModelUse
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import CheckpointSettings
from r1.template import TemplateSettings

MAY_CHANGE_ON_RESUME = (
    "base_folder",
    "learner.device",
    "engine.device",
    "rewards.num_workers",
    "rewards.judge.base_url",
    "rewards.judge.api_key_env",
    "rewards.judge.cache",
    "rewards.judge.limits",
    "rewards.judge.budget",
    "checkpoints.keep",
    "cluster",
)
"""Settings that move no number of a run, but for rounding: it may be carried on with others."""
MAY_GROW = ("num_steps",)
"""Settings whose number may be larger on resuming: the run is made longer."""


class R1ZeroRecipe(Settings):
    """R1-Zero: reinforcement learning from a base model, nothing else (paper, section 2.2)."""

    kind: Literal["r1_zero"] = Field("r1_zero", description="reinforcement learning")
    seed: int = Field(0, ge=0, description="decides the order of the problems and every sample")
    num_steps: int = Field(
        ge=1, description="steps of training: in each, a batch is sampled and learned from"
    )
    model: str = Field(
        description='model to start from: "tiny" (the shipped base), a folder, a run or a Hub id'
    )
    data: DataSettings
    template: TemplateSettings = TemplateSettings()
    sampling: SamplingSettings = SamplingSettings()
    rewards: RewardSettings = RewardSettings()
    reward_models: dict[str, RewardModelUse] = Field(
        default_factory=dict, description="reward models that add to the reward, by your names"
    )
    grpo: GRPOSettings = GRPOSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    learner: LearnerSettings = LearnerSettings()
    engine: EngineSettings = EngineSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    cluster: ClusterSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> R1ZeroRecipe:
        if self.sampling.temperature == 0.0:
            raise ValueError(
                "sampling.temperature = 0 gives G equal samples and nothing to learn from; use 1.0"
            )
        if self.grpo.overlong_buffer >= self.sampling.max_new_tokens:
            raise ValueError(
                f"grpo.overlong_buffer = {self.grpo.overlong_buffer} must be below "
                f"sampling.max_new_tokens = {self.sampling.max_new_tokens}"
            )
        if self.engine.vllm.sleep and self.grpo.partial_rollouts:
            raise ValueError(
                "engine.vllm.sleep gives the GPU back between two batches, and with "
                "grpo.partial_rollouts there is nothing between them; leave one of them false"
            )
        check_evaluation(self.evaluation.every, self.data.heldout, "problems")
        if self.data.heldout and "accuracy" not in self.rewards.weights:
            raise ValueError(
                "evaluation on data.heldout needs the accuracy reward; add accuracy to "
                "rewards.weights (with weight 0 it is computed and pays nothing)"
            )
        return self
