"""Sampling and learning in turn: a batch is sampled when it is taken, under the newest weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from r1.sampling.protocol import Weights
from r1.sampling.roll_out import BatchSource, Rollouts, sample_batch
from r1.types import ScoredGroup


class InTurn:
    """See r1.sampling.protocol.Sampler. Weights go straight to the engine; nothing is copied."""

    def __init__(self, source: BatchSource, rollouts: Rollouts) -> None:
        self.source, self.rollouts = source, rollouts

    def __enter__(self) -> InTurn:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is under way."""

    def renew(self, weights: Weights, version: int) -> None:
        self.rollouts.engine.load_weights(weights, version=version)

    def begin(self, steps: Iterable[int]) -> None:
        """Batches are sampled when they are taken."""

    def take(self, step: int) -> list[ScoredGroup]:
        return sample_batch(step, self.source, self.rollouts)

    def run_when_idle(self, action: Callable[[], None]) -> None:
        action()
