"""The device that a recipe names."""

from __future__ import annotations

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
