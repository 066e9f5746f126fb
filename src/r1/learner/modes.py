"""The two switches around a forward pass that is to learn: precision, and what is on meanwhile."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


def autocast(on: bool, device: torch.device) -> AbstractContextManager[object]:
    """bf16 autocast over the weights' own dtype, or nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()


def learning_mode(model: PreTrainedModel, on: bool, gradient_checkpointing: bool) -> None:
    """Switch on only what must be on while learning: recomputation and LoRA's dropout.

    Trap: model.train() would switch on the attention and hidden dropout of the config as well.
    """
    for name, module in model.named_modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = on and gradient_checkpointing
        elif ".lora_dropout." in name:
            module.training = on
