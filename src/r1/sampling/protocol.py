"""The Sampler seam: where the loop's batches come from, and when new weights reach the engine.

    with sampler:
        sampler.renew(weights, version)     the newest weights; what is begun from now on has them
        sampler.begin(steps)                let these batches be sampled, in order
        sampler.take(step)                  wait for a batch
        sampler.run_when_idle(action)       use the engine while nothing is sampled, and wait

Three classes implement it: `InTurn` samples a batch when it is taken; `WholeBatches` and
`PartialRollouts` sample in a thread beside the learner's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from r1.types import ScoredGroup

if TYPE_CHECKING:
    import torch

Weights = Iterable[tuple[str, "torch.Tensor"]]


class Sampler(AbstractContextManager["Sampler"], Protocol):
    """Everything happens in the order in which it is asked for. Leaving the context by an error or
    Ctrl-C waits for nothing: what was asked for is not done any more."""

    def renew(self, weights: Weights, version: int) -> None:
        """Let what is begun from now on be sampled under these weights; version: updates done."""

    def begin(self, steps: Iterable[int]) -> None:
        """Sample these batches, in order, after those already begun."""

    def take(self, step: int) -> list[ScoredGroup]:
        """Wait for a batch that was begun; raises what went wrong while it was sampled."""

    def run_when_idle(self, action: Callable[[], None]) -> None:
        """Do something with the engine, under the newest weights, once all that was begun is
        whole; wait for it."""
