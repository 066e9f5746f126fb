"""Settings of `r1 pretrain` (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings
from r1.learner.settings import OptimizerSettings


class BaseModelSettings(Settings):
    """The shape of a base, with tied embeddings."""

    architecture: Literal["qwen2", "llama"] = "qwen2"
    vocab_size: int = Field(1024, ge=300)
    hidden_size: int = Field(128, ge=16)
    intermediate_size: int = Field(384, ge=16)
    num_layers: int = Field(4, ge=1)
    num_heads: int = Field(4, ge=1)
    num_kv_heads: int = Field(2, ge=1)
    max_position_embeddings: int = Field(1024, ge=64)
    rope_theta: float = Field(10_000.0, gt=0.0)


class PretrainRecipe(Settings):
    """Everything the base is made from: one recipe, one seed."""

    seed: int = Field(0, ge=0)
    num_steps: int = Field(3000, ge=1)
    tokens_per_step: int = Field(8192, ge=32, description="documents are drawn until so many")
    tokens_per_microbatch: int = Field(4096, ge=32)
    tokenizer_documents: int = Field(20_000, ge=100)
    checkpoint_every: int = Field(250, ge=1)
    num_threads: int = Field(0, ge=0, description="CPU threads; 0 leaves torch's choice")
    model: BaseModelSettings = BaseModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
