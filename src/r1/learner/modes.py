"""Switches around what a learner computes: precision, what is on meanwhile, the order of sums."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, TypeVar

import torch
from torch.utils import deterministic
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

_memory: Any = deterministic  # its switch is a property of the module
Update = TypeVar("Update", bound=Callable[..., Any])

TORCH_SEEDS = 2**64
"""torch takes no seed of this size or above; a recipe's may be any."""


def reproducible(update: Update) -> Update:
    """Wrap a learner's update: under `learner.deterministic` it computes `in_one_order`."""

    @wraps(update)
    def run(learner: Any, *args: Any) -> Any:
        device = getattr(learner, "local", learner).device
        with in_one_order(learner.settings.deterministic and device.type == "cuda"):
            return update(learner, *args)

    return run  # type: ignore[return-value]


@contextmanager
def in_one_order(on: bool) -> Iterator[None]:
    """Let CUDA's kernels add in one order meanwhile; one that cannot raises RuntimeError.

    On a GPU these otherwise do not: the gradients of the embedding, of hidden states that predict
    several tokens, of queries in FlashAttention.
    """
    if not on:
        yield
        return
    before = (
        torch.are_deterministic_algorithms_enabled(),
        _memory.fill_uninitialized_memory,
    )
    torch.use_deterministic_algorithms(True)
    _memory.fill_uninitialized_memory = False  # it would only cost time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        _memory.fill_uninitialized_memory = before[1]


def reserve_cublas(on: bool) -> None:
    """Give cuBLAS the buffers without which it has no one order; before it is used first."""
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def autocast(on: bool, device: torch.device) -> AbstractContextManager[object]:
    """bf16 autocast over the weights' own dtype, or nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if on else nullcontext()


def learning_mode(model: PreTrainedModel, on: bool, recomputes: bool) -> None:
    """Switch on only what must be on while learning: recomputation and LoRA's dropout.

    Trap: model.train() would switch on the attention and hidden dropout of the config as well.
    """
    for name, module in model.named_modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.training = on and recomputes
        elif ".lora_dropout." in name:
            module.training = on
