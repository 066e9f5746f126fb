"""The Learner seam: holds the policy, learns from a TrainBatch, gives its weights away.

A single process and Ray + FSDP2 fill it; the loop never asks which.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from r1.types import TrainBatch

if TYPE_CHECKING:
    import torch


class Learner(Protocol):
    """One policy and its optimiser."""

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Do every optimiser step the batch is worth; return the update's metrics."""

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """Give (Hugging Face parameter name, tensor) of the policy as it now is (LoRA merged)."""

    def save(self, folder: Path) -> None:
        """Write everything needed to continue bit for bit: policy, optimiser, reference, counters.

        The policy is written in the Hugging Face layout directly in `folder`, so that
        `AutoModelForCausalLM.from_pretrained(folder)` works; the rest beside it.
        """

    def load(self, folder: Path) -> None:
        """Take up exactly where `save` left off."""
