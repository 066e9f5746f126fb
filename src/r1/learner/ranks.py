"""The processes (ranks) that hold one policy together, as a learner sees them.

A learner on its own has `OneRank`. With several, each holds a part of every parameter and computes
its share of the micro-batches; the objective's totals are those of the whole minibatch, so that
gradients, losses and metrics summed over ranks are those of one process. Sharded ranks are
`r1.cluster.fsdp.ShardedRanks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from r1.learner.microbatch import IndexedResponse, MicroBatch, split_microbatches


class Ranks(Protocol):
    """One process's view of all. Every rank must make the same calls in the same order."""

    def load_device(self, device: torch.device) -> torch.device:
        """Where a whole model is loaded before `place`; device is where it will compute."""

    def place(self, model: PreTrainedModel) -> None:
        """Take over a model, in place: from here on a rank holds its part of each parameter."""

    def run(self, model: PreTrainedModel, function: Callable[..., Any], *args: Any) -> Any:
        """function(model, *args), within which the model's parameters are whole."""

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        """This rank's micro-batches of at most `budget` tokens; as many on every rank."""

    def sum(self, values: Tensor) -> Tensor:
        """Sum over ranks, the same on each."""

    def maximum(self, values: Tensor) -> Tensor:
        """Maximum over ranks, the same on each."""


class OneRank:
    """A process on its own: implements Ranks."""

    def load_device(self, device: torch.device) -> torch.device:
        return device

    def place(self, model: PreTrainedModel) -> None:
        return None

    def run(self, model: PreTrainedModel, function: Callable[..., Any], *args: Any) -> Any:
        return function(model, *args)

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        return split_microbatches(responses, budget)

    def sum(self, values: Tensor) -> Tensor:
        return values

    def maximum(self, values: Tensor) -> Tensor:
        return values
