"""Tensors that may be sharded over ranks (torch's DTensor) or plain."""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor. Every rank must ask together for one that is sharded; a plain one is it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(pattern: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that every rank has whole, sharded as `pattern` is; nothing is sent."""
    if not isinstance(pattern, DTensor):
        return tensor
    device = pattern.to_local().device
    return distribute_tensor(
        tensor.to(device), pattern.device_mesh, pattern.placements, src_data_rank=None
    )
