"""Activations computed again in the backward pass, from what each layer was given.

    layer input [N, D] --forward--> dropped, but for the input     (gradient_checkpointing = true)
                       \\--copy--> the host's memory --copy--> backward    (= "offload")

A row of N tokens then keeps layers * N * D numbers, on the GPU or in the host's memory; there it
holds two layers' inputs at a time. Copies run on the GPU's own stream, in order with its kernels:
nothing waits for them on the host, and no memory is used again before its copy was made.

Left out on purpose: copies on a stream of their own, which would hide them behind the layers'
products, for a second copy of the inputs in the GPU's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from r1.learner.settings import LearnerSettings

Stored = Tensor | tuple[torch.device, Tensor]


def set_recomputation(model: PreTrainedModel, settings: LearnerSettings) -> None:
    """Make a model's layers compute their activations again, where the settings say so."""
    if not settings.recomputes:
        return
    model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.offloads:
        for module in model.modules():
            if isinstance(module, GradientCheckpointingLayer):
                layer: Any = module
                layer._gradient_checkpointing_func = _offloaded(layer._gradient_checkpointing_func)


def _offloaded(checkpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return torch's checkpoint with what it keeps, a layer's inputs, in the host's memory.

    What the layer itself would save is dropped by hooks further in.
    """

    def run(*args: Any) -> Any:
        with saved_tensors_hooks(to_host, from_host):
            return checkpoint(*args)

    return run


def to_host(tensor: Tensor) -> Stored:
    """Copy a tensor of a GPU into the host's memory; one that is there already stays itself."""
    if tensor.device.type == "cpu":
        return tensor
    host = torch.empty_like(tensor, device="cpu", pin_memory=torch.cuda.is_available())
    return tensor.device, host.copy_(tensor, non_blocking=True)


def from_host(stored: Stored) -> Tensor:
    """Return what `to_host` was given."""
    if isinstance(stored, Tensor):
        return stored
    device, host = stored
    return host.to(device, non_blocking=True)
