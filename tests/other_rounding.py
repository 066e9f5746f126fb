"""Another processor's rounding, imitated: every product of matrices is a little off.

    R1_TEST_ROUNDING=1 make test

Libraries choose their kernels by the processor and by the shapes, so the last bits of a product
depend on both. Under this mode each element of a product is moved by 0 or ±1 of `EPSILON` times the
mean size of its row, as a fixed function of its own bits and of the number of rows: the same
call gives the same bits again (what is exact stays exact), the same row among other rows does not.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

EPSILON = 2.0**-22
"""About what the order of summation moves a float32 dot product of a few hundred terms."""

MASKED = 1e9
"""Scores of masked positions are larger, and no size of anything."""

aten = torch.ops.aten
PRODUCTS = {getattr(aten, name).default for name in ("linear", "mm", "addmm", "bmm", "baddbmm")}


class OtherRounding(TorchDispatchMode):
    """Moves the last bits of matrix products, forward and backward."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in PRODUCTS and type(out) is torch.Tensor and out.dtype == torch.float32:
            out = out.contiguous()
            mixed = out.view(torch.int32) * 0x9E3779B + 40503 * out.shape[-2]
            sign = ((mixed >> 13) % 3 - 1).to(torch.float32)
            size = torch.where(out.abs() < MASKED, out.abs(), 0.0).mean(-1, keepdim=True)
            out.addcmul_(sign, size, value=EPSILON)
        return out


def wanted() -> bool:
    return os.environ.get("R1_TEST_ROUNDING") == "1"
