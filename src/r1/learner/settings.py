"""Settings of the optimiser, of the one-process learner, and of held-out data (torch-free)."""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from r1.config import Settings

MAY_CHANGE_ON_RESUME = (
    "base_folder", "learner.device", "learner.deterministic", "learner.tokens_per_microbatch",
    "learner.gradient_checkpointing", "checkpoints.keep", "cluster", "track",
)  # fmt: skip
"""Settings that move no number of any run, but for rounding (and, with adapters' dropout, for what
is dropped): it may be carried on with others, as after its memory ran out."""

MAY_GROW = ("batch.epochs", "batch.max_steps")
"""Settings whose number may be larger on resuming: the run is made longer."""


Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class OptimizerSettings(Settings):
    """AdamW on all weights, or Muon on the matrices and AdamW on the rest."""

    only_with: ClassVar = {"muon_lr": ("kind", ("muon",))}

    kind: Literal["adamw", "muon"] = Field(
        "adamw", description="AdamW on all weights, or Muon on the matrices and AdamW on the rest"
    )
    lr: float = Field(3e-6, gt=0.0, description="AdamW's peak learning rate")
    muon_lr: float = Field(0.02, gt=0.0, description="Muon's peak learning rate")
    betas: tuple[Share, Share] = Field(
        (0.9, 0.95), description="AdamW's decay rates of the gradient's mean and of its square"
    )
    epsilon: float = Field(
        1e-8, gt=0.0, description="AdamW adds it to the denominator of its update"
    )
    weight_decay: float = Field(
        0.0, ge=0.0, description="decoupled decay: a weight loses lr times this share a step"
    )
    warmup_steps: int = Field(
        0, ge=0, description="optimiser steps over which the learning rate rises to its peak"
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="how the learning rate falls after the warmup"
    )
    final_fraction: float = Field(
        0.0, ge=0.0, le=1.0, description="learning rate at the end, as a share of its peak"
    )
    decay_start: float = Field(
        0.0, ge=0.0, lt=1.0, description="share of all steps before the learning rate falls"
    )
    max_grad_norm: float = Field(
        1.0, gt=0.0, description="a gradient with a larger norm is scaled down to this one"
    )


class LoraSettings(Settings):
    """Low-rank adapters through peft; only they learn. Left out, all weights do."""

    rank: int = Field(16, ge=1, description="width of an adapter's two matrices")
    alpha: float = Field(32.0, gt=0.0, description="an adapter's output is scaled by alpha / rank")
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="share of an adapter's inputs set to 0 in training"
    )
    target_modules: str | tuple[str, ...] = Field(
        "all-linear",
        description='names of the layers that get an adapter; "all-linear" is every linear one',
    )


class ComputeSettings(Settings):
    """Where an update is computed, and with which number formats."""

    device: str = Field(
        "auto", description='"cpu", "cuda" or "cuda:N"; "auto" takes a GPU where there is one'
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="number format of the weights that learn"
    )
    autocast: bool = Field(
        False, description="compute in bfloat16 while the weights stay as `dtype` says"
    )
    tokens_per_microbatch: int = Field(
        16_384,
        ge=1,
        description="most tokens, prompts included, of one forward and backward pass; changes "
        "memory and speed, and results by rounding only",
    )
    deterministic: bool = Field(
        False,
        description="on a GPU add numbers in one order, which is slower, so that a run that is "
        "carried on gives the bits of one that was not interrupted; a CPU always does",
    )


class LearnerSettings(ComputeSettings):
    """Where an update is computed, with which number formats, and in how much memory."""

    logits_budget_mb: ClassVar[int] = 256
    """Memory for logits, in MB; the loss is computed in chunks that fit."""
    settled: ClassVar = {"logits_budget_mb": logits_budget_mb}

    gradient_checkpointing: bool | Literal["offload"] = Field(
        False,
        description="compute activations again in the backward pass: less memory, more time; "
        '"offload": from inputs of the layers that wait in the host\'s memory, which for long rows '
        "saves a GPU much more, for two copies a layer",
    )
    lora: LoraSettings | None = None

    @property
    def recomputes(self) -> bool:
        """Whether activations are computed again."""
        return bool(self.gradient_checkpointing)

    @property
    def offloads(self) -> bool:
        """Whether the inputs of layers wait in the host's memory."""
        return self.gradient_checkpointing == "offload"


class HeldoutSettings(Settings):
    """When data.heldout is measured: always before the first and after the last step, where there
    is any."""

    every: int = Field(0, ge=0, description="also after so many steps each; 0: not in between")


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
