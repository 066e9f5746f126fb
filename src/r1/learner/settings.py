"""Settings of the optimiser, of the one-process learner, and of held-out data (torch-free)."""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, Literal

from pydantic import Field

from r1.config import Settings

MAY_CHANGE_ON_RESUME = ("base_folder", "learner.device", "checkpoints.keep", "cluster")
"""Settings that move no number of any run, but for rounding: it may be carried on with others."""

MAY_GROW = ("batch.epochs", "batch.max_steps")
"""Settings whose number may be larger on resuming: the run is made longer."""


Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class OptimizerSettings(Settings):
    """AdamW everywhere, or Muon on the matrices with AdamW on the rest."""

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = Field(3e-6, gt=0.0, description="AdamW's learning rate")
    muon_lr: float = Field(0.02, gt=0.0, description="Muon's learning rate")
    betas: tuple[Share, Share] = (0.9, 0.95)
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


class ComputeSettings(Settings):
    """Where an update is computed, and with which numbers."""

    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] = "float32"
    autocast: bool = Field(False, description="bf16 autocast over fp32 weights")
    tokens_per_microbatch: int = Field(16_384, ge=1, description="prompt + response tokens")


class LearnerSettings(ComputeSettings):
    """Where and how an update is computed."""

    logits_budget_mb: int = Field(256, ge=1, description="memory for one chunk of logits")
    gradient_checkpointing: bool = False
    lora: LoraSettings | None = None


class HeldoutSettings(Settings):
    """When data.heldout is measured; always before the first and after the last step where there is
    any."""

    every: int = Field(0, ge=0, description="steps between; 0 adds none")


def check_evaluation(every: int, heldout: Sized, what: str) -> None:
    """ValueError where a recipe asks for evaluations between and has nothing (what) for them."""
    if every and not heldout:
        raise ValueError(
            f"evaluation.every needs {what} to measure on; add a [[data.heldout]] source "
            "or set evaluation.every = 0"
        )


def longer_notices(optimizer: OptimizerSettings) -> list[str]:
    """What a user should know of a run made longer: none where its length moves no earlier step."""
    if optimizer.schedule == "constant":
        return []
    return [
        f'optimizer.schedule = "{optimizer.schedule}" spreads over all steps: the learning rate '
        "goes on as that of the longer run, but the steps already taken followed the shorter one, "
        "so that this is not the run that as many steps from the start would give."
    ]
