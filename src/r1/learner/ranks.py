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
    """What a learner asks of its ranks. Every rank must make the same calls in the same order."""

    @property
    def index(self) -> int:
        """This rank's number, from 0."""

    @property
    def sharded(self) -> bool:
        """Whether parameters are sharded; all ranks then write and read a checkpoint together."""

    def load_device(self, device: torch.device) -> torch.device:
        """Return the device a model is loaded on before `shard`.

        device: where the model will compute. On "meta" the model has shapes and no values: rank 0
        holds the values.
        """

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Return the whole tensor of a freshly loaded model, on every rank."""

    def shard(self, model: nn.Module, as_stored: bool = False) -> None:
        """Shard a model in place: afterwards each rank holds a part of each parameter.

        A submodule that was sharded before keeps its own sharding. as_stored: compute in the stored
        dtype, without autocast.
        """

    def run(self, model: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
        """Return function(model, *args), with the model's parameters gathered during the call."""

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        """Return this rank's micro-batches of at most `budget` tokens; every rank gets as many."""

    def assign_rows(
        self, pack: Callable[[int], Sequence[Row]], size: Callable[[Row], int], budget: int
    ) -> Sequence[Row | None]:
        """Return this rank's rows; every rank gets as many, padded with None.

        pack: returns all rows for a budget of tokens, the same on every rank. size: tokens of a
        row.
        """

    def sum(self, values: Tensor) -> Tensor:
        """Sum over ranks, the same on each."""

    def maximum(self, values: Tensor) -> Tensor:
        """Maximum over ranks, the same on each."""


class OneRank:
    """A process on its own: implements Ranks."""

    index = 0
    sharded = False

    def load_device(self, device: torch.device) -> torch.device:
        return device

    def broadcast(self, tensor: Tensor) -> Tensor:
        return tensor

    def shard(self, model: nn.Module, as_stored: bool = False) -> None:
        return None

    def run(self, model: nn.Module, function: Callable[..., Any], *args: Any) -> Any:
        return function(model, *args)

    def share(self, responses: Sequence[IndexedResponse], budget: int) -> list[MicroBatch]:
        return split_microbatches(responses, budget)

    def assign_rows(
        self, pack: Callable[[int], Sequence[Row]], size: Callable[[Row], int], budget: int
    ) -> Sequence[Row | None]:
        return pack(budget)

    def sum(self, values: Tensor) -> Tensor:
        return values

    def maximum(self, values: Tensor) -> Tensor:
        return values
