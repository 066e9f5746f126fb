"""Who holds what: learner ranks, engine replicas, tensor parallel, shared or separate GPUs."""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """learner ranks (FSDP2 over all of them), engine replicas of `tensor_parallel` GPUs each.

    shared: the same GPUs learn and sample in turn, the engine asleep meanwhile; else each GPU does
    one of both. expert_parallel: ranks that the routed experts of a layer are dealt out to (1: a
    layer is gathered whole), which the project's learner does not do; a plan names it as a need.
    """

    ranks: int = 1
    replicas: int = 1
    tensor_parallel: int = 1
    shared: bool = True
    expert_parallel: int = 1

    @property
    def num_gpus(self) -> int:
        """GPUs in use."""
        engines = self.replicas * self.tensor_parallel
        return max(self.ranks, engines) if self.shared else self.ranks + engines

    def describe(self) -> str:
        """For people: "8 ranks, 2 x TP 4, shared"."""
        ranks = f"{self.ranks} rank{'s' if self.ranks > 1 else ''}"
        if self.expert_parallel > 1:
            ranks += f" (EP {self.expert_parallel})"
        engines = f"{self.replicas} x TP {self.tensor_parallel}" if self.replicas else "no engine"
        return f"{ranks}, {engines}, {'shared' if self.shared else 'separate'}"
