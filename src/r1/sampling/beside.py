"""What the samplers that run beside the learner share: weights that stay, a thread that ends."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from r1.rollout.protocol import AbortableEngine, Engine
from r1.sampling.protocol import Weights

PATIENCE_S = 2.0


class Newest(NamedTuple):
    """Weights that do not change, and the number of updates behind them."""

    version: int
    weights: Weights


def snapshot(weights: Weights) -> Weights:
    """The weights as they are now, whatever the learner does next.

    The learner's own tensors are copied; weights with a version (RemoteWeights) are a copy already.
    """
    if hasattr(weights, "version"):
        return weights
    return [(name, tensor.detach().clone()) for name, tensor in weights]


class VersionedEngine:
    """An engine, and the version of the weights that it has."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.version = engine, -1

    def load(self, newest: Newest) -> None:
        """Give the engine weights that it does not have yet."""
        if self.version != newest.version:
            self.engine.load_weights(newest.weights, version=newest.version)
            self.version = newest.version


def end_thread(thread: ThreadPoolExecutor, end: Future[None], engine: Engine) -> None:
    """Wait for the end of a thread that was told to end, and keep its engine from delaying that.

    A thread that waits for something else, a lost replica or a judge, is left to itself: it ends
    when the engine and the rewards are closed.
    """
    until = time.monotonic() + PATIENCE_S
    while not wait([end], timeout=0.1).done and time.monotonic() < until:
        if isinstance(engine, AbortableEngine):
            engine.abort()
    thread.shutdown(wait=end.done())
