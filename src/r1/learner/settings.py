"""Settings of the optimiser and of the one-process learner (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings


class OptimizerSettings(Settings):
    """AdamW everywhere, or Muon on the matrices with AdamW on the rest."""

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(3e-6, gt=0.0, description="AdamW's learning rate")
    muon_lr: float = Field(0.02, gt=0.0, description="Muon's learning rate")
    betas: tuple[float, float] = (0.9, 0.95)
    epsilon: float = Field(1e-8, gt=0.0)
    weight_decay: float = Field(0.0, ge=0.0)
    warmup_steps: int = Field(0, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    final_fraction: float = Field(0.0, ge=0.0, le=1.0, description="end of the schedule / lr")
    decay_start: float = Field(0.0, ge=0.0, lt=1.0, description="share of steps before the decay")
    max_grad_norm: float = Field(1.0, gt=0.0)


class LoraSettings(Settings):
    """Low-rank adapters through peft."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0.0)
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    target_modules: str | tuple[str, ...] = "all-linear"


class LearnerSettings(Settings):
    """Where and how an update is computed."""

    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    autocast: bool = Field(False, description="bf16 autocast over fp32 weights")
    tokens_per_microbatch: int = Field(16_384, ge=1, description="prompt + response tokens")
    logits_budget_mb: int = Field(256, ge=1, description="memory for one chunk of logits")
    gradient_checkpointing: bool = False
    lora: LoraSettings | None = None
