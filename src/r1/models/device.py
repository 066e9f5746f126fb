"""The device that a recipe names, and its memory where processes share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from r1.errors import UserError


def resolve_device(name: str, setting: str = "device") -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device; UserError when it is not there.

    setting: its name in messages.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f'{setting} "{name}" is unknown; use "auto", "cpu" or "cuda".') from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UserError(
                f'{setting} "{name}" is not available: this machine has {count} CUDA devices; '
                'use "auto" or "cpu".'
            )
    return device


@contextmanager
def returning_memory(shared: bool) -> Iterator[None]:
    """At the block's end give the memory that PyTorch keeps for later back to the GPU.

    PyTorch's allocator keeps what was freed, so that to another process on the GPU the peak of the
    block would stay taken for ever. shared: whether there is one; else, and on a CPU, nothing is
    done.
    """
    try:
        yield
    finally:
        if shared:
            torch.cuda.empty_cache()
