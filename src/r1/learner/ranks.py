"""The processes (ranks) that hold one policy together, as a learner sees them.

A learner on its own has `OneRank`. With several, each holds a part of every parameter and computes
its share of the micro-batches; the objective's totals are those of the whole minibatch, so that
gradients, losses and metrics summed over ranks are those of one process. Sharded ranks are
`r1.cluster.fsdp.ShardedRanks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from r1.learner.microbatch import IndexedResponse, MicroBatch, split_microbatches

Row = TypeVar("Row")


class Ranks(Protocol):
    """One process's view of all. Every rank must make the same calls in the same order."""

    def load_device(self, device: torch.device) -> torch.device:
        """Where a model is loaded before `place`; device is where it will compute. On "meta" it has
        shapes alone: another rank has the rest."""

    def received(self, tensor: Tensor) -> Tensor:
        """A tensor that was loaded with a model: all of it, on every rank."""

    def place(self, model: nn.Module, as_stored: bool = False) -> None:
        """Take over a model, in place: from here on a rank holds its part of each parameter. What
        is inside and was placed before stays apart. as_stored: autocast is not for this one."""

    def run(self, model: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
        """function(model, *args), within which the model's parameters are whole."""

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        """This rank's micro-batches of at most `budget` tokens; as many on every rank."""

    def deal(
        self, pack: Callable[[int], Sequence[Row]], size: Callable[[Row], int], budget: int
    ) -> Sequence[Row | None]:
        """This rank's rows, as many on every rank; None where there is nothing left for it.

        pack: all rows of at most so many tokens, the same on every rank. size: tokens of a row.
        """

    def sum(self, values: Tensor) -> Tensor:
        """Sum over ranks, the same on each."""

    def maximum(self, values: Tensor) -> Tensor:
        """Maximum over ranks, the same on each."""


class OneRank:
    """A process on its own: implements Ranks."""

    def load_device(self, device: torch.device) -> torch.device:
        return device

    def received(self, tensor: Tensor) -> Tensor:
        return tensor

    def place(self, model: nn.Module, as_stored: bool = False) -> None:
        return None

    def run(self, model: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
        return function(model, *args)

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        return split_microbatches(responses, budget)

    def deal(
        self, pack: Callable[[int], Sequence[Row]], size: Callable[[Row], int], budget: int
    ) -> Sequence[Row | None]:
        return pack(budget)

    def sum(self, values: Tensor) -> Tensor:
        return values

    def maximum(self, values: Tensor) -> Tensor:
        return values
