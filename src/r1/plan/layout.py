"""Layouts: learner ranks, engine replicas, tensor parallel, shared or separate GPUs."""

from __future__ import annotations

from typing import Any, NamedTuple


class Layout(NamedTuple):
    """Learner ranks (FSDP2 over all of them), engine replicas of `tensor_parallel` GPUs each.

    shared: the same GPUs learn and sample in turn, the engine asleep meanwhile; else each GPU does
    one of both.
    """

    ranks: int = 1
    replicas: int = 1
    tensor_parallel: int = 1
    shared: bool = True

    @property
    def num_gpus(self) -> int:
        """Return the number of GPUs in use."""
        engines = self.replicas * self.tensor_parallel
        return max(self.ranks, engines) if self.shared else self.ranks + engines

    def describe(self) -> str:
        """Describe the layout for people: "8 ranks, 2 x TP 4, shared"."""
        ranks = f"{self.ranks} rank{'s' if self.ranks > 1 else ''}"
        engines = f"{self.replicas} x TP {self.tensor_parallel}" if self.replicas else "no engine"
        return f"{ranks}, {engines}, {'shared' if self.shared else 'separate'}"


def own_layout(recipe: Any) -> Layout:
    """Return the layout of a recipe's [cluster] and engine; fine-tuning has no replicas."""
    cluster, engine = getattr(recipe, "cluster", None), getattr(recipe, "engine", None)
    tensor = 1 if engine is None else tensor_parallel(engine)
    if cluster is None:
        return Layout(1, int(engine is not None), tensor)
    replicas = cluster.engine_replicas if engine is not None else 0
    return Layout(cluster.learner_ranks, replicas, tensor, cluster.placement == "shared")


def tensor_parallel(engine: Any) -> int:
    """Return the GPUs of one replica, from its EngineSettings."""
    size: int = engine.vllm.tensor_parallel_size if engine.kind == "vllm" else 1
    return size


def gpus_asked_for(recipe: Any, whole: Any = None, engine: Any = None) -> int | None:
    """Return the GPUs that a recipe or stage asks for; None if it does not say.

    whole: the [cluster] of a recipe of stages, whose replicas are for those that only sample.
    engine: the EngineSettings by which the stage samples, None where it does not.
    """
    if getattr(recipe, "cluster", None) is not None:
        return own_layout(recipe).num_gpus
    if whole is None or engine is None:
        return None
    replicas: int = whole.engine_replicas
    return replicas * tensor_parallel(engine)
