"""Learner ranks in Ray actors behind one Learner of the driver.

The ranks are a torch.distributed group (gloo on CPUs, NCCL on GPUs). They live and die together: a
collective without one of its ranks cannot end. When one is lost the driver ends all, starts as many
again, loads the newest checkpoint (or the model the run began with) and repeats the updates since,
whose batches it keeps; every update follows from the state and the batch alone, so that the group
then stands where it stood.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import ray
from torch import Tensor

from r1.cluster.ray_calls import Call, Events, LostProcess, answer, give_up, late, wait_all
from r1.cluster.ray_placement import Placement
from r1.cluster.ray_weights import Bucket, RemoteWeights, pack
from r1.cluster.settings import ClusterSettings
from r1.learner.objective import Objective
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.types import TrainBatch


class LearnerSpec(NamedTuple):
    """What every rank builds its learner from; see r1.learner.local.LocalLearner."""

    model: str
    settings: LearnerSettings
    optimizer: OptimizerSettings
    objective: Objective
    temperature: float
    total_steps: int
    seed: int


class LearnerRank:
    """What runs in the actor: one rank of a ShardedLearner."""

    def __init__(self, spec: LearnerSpec, num_threads: int) -> None:
        import torch

        torch.set_num_threads(num_threads)
        self.spec = spec
        self.learner: Any = None
        self.store: Any = None

    def open_store(self, world: int) -> tuple[str, int]:
        """Host and port at which the ranks meet; of rank 0 alone."""
        import torch.distributed as dist

        host = ray.util.get_node_ip_address()
        self.store = dist.TCPStore(host, 0, world, True, wait_for_workers=False)
        return host, self.store.port

    def join(self, meeting: tuple[str, int], index: int, world: int, timeout_s: float) -> int:
        """Meet the other ranks and build the learner; return the process's id."""
        import torch
        import torch.distributed as dist
        from torch.distributed.device_mesh import init_device_mesh

        from r1.cluster.fsdp import ShardedLearner
        from r1.models.load import load_tokenizer, resolve_device

        limit = timedelta(seconds=timeout_s)
        if self.store is None:
            self.store = dist.TCPStore(*meeting, world, False, limit)
        device = resolve_device(self.spec.settings.device)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend, store=self.store, rank=index, world_size=world, timeout=limit
        )
        spec = self.spec
        self.learner = ShardedLearner(
            spec.model,
            spec.settings,
            spec.optimizer,
            spec.objective,
            init_device_mesh(device.type, (world,)),
            temperature=spec.temperature,
            total_steps=spec.total_steps,
            seed=spec.seed,
            tokenizer=load_tokenizer(spec.model),
        )
        return os.getpid()

    def update(self, batch: TrainBatch) -> dict[str, float]:
        return self.learner.update(batch)

    def send_weights(self, max_bytes: int) -> Iterator[Bucket]:
        """Buckets of the policy as it now is; rank 0 sends while the others help to gather."""
        buckets = pack(self.learner.weights(), self.learner.step, max_bytes)
        for bucket in buckets:  # noqa: UP028 (Ray sends values into the generator)
            yield bucket

    def help_to_send(self) -> None:
        """Gather with rank 0, and keep nothing."""
        for _ in self.learner.weights():
            pass

    def save(self, folder: Path) -> None:
        self.learner.save(folder)

    def load(self, folder: Path) -> int:
        """Load a checkpoint; return the updates behind it."""
        self.learner.load(folder)
        return self.learner.step


class RemoteLearner:
    """Implements learner.protocol.Learner over `learner_ranks` actors."""

    def __init__(
        self,
        spec: LearnerSpec,
        cluster: ClusterSettings,
        placement: Placement,
        events: Events,
        newest_checkpoint: Callable[[], Path | None],
    ) -> None:
        """newest_checkpoint: the folder that the last `save` has become, None before the first.

        Starts the ranks and waits for them. Raises UserError as the learner does.
        """
        self.spec, self.cluster = spec, cluster
        self.placement, self.events = placement, events
        self.newest_checkpoint = newest_checkpoint
        self.step = 0
        self.ranks: list[Any] = []
        self.process_ids: list[int] = []
        self._batches: dict[int, TrainBatch] = {}
        self._saved: list[int] = []
        self._one_at_a_time = threading.Lock()
        self._retried("start", self._revive)

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Learner.update on all ranks; adds pool/..._restarts, what was lost since the last one."""
        self._batches[self.step] = batch
        metrics = self._retried("update", lambda: self._update(batch))
        self.step += 1
        return {**metrics, **self.events.take()}

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """The policy's weights, gathered now; an engine that knows RemoteWeights takes its
        references, any other iterates over the tensors."""
        references = self._retried("send its weights", self._gather)
        return RemoteWeights(self.step, references, self.weights)  # type: ignore

    def save(self, folder: Path) -> None:
        """Every rank writes its part; `folder` must be on a file system that all nodes share."""
        limit = self.cluster.timeouts.save_s
        absolute = folder.resolve()

        def write() -> None:
            for part in absolute.iterdir():  # what an attempt that failed has left
                _remove(part)
            self._ask("save", limit, absolute)

        self._retried("save", write)
        # The checkpoint before this one is still there if this one should never be completed.
        self._saved = [*self._saved[-1:], self.step]
        self._batches = {s: b for s, b in self._batches.items() if s >= self._saved[0]}

    def load(self, folder: Path) -> None:
        """Take up where a checkpoint of any number of ranks left off."""
        self.step = self._retried("load", lambda: self._load(folder))
        self._batches, self._saved = {}, [self.step]

    def close(self) -> None:
        """End the ranks."""
        for rank in self.ranks:
            ray.kill(rank, no_restart=True)
        self.ranks = []

    def _retried(self, what: str, action: Callable[[], Any]) -> Any:
        # An engine that lost its weights asks for them from a thread beside the loop's; ranks that
        # are asked for two collectives at once could each begin with another.
        with self._one_at_a_time:
            return self._tried(what, action)

    def _tried(self, what: str, action: Callable[[], Any]) -> Any:
        """Do something that needs all ranks; bring the group back where one is lost meanwhile."""
        for attempt in range(self.cluster.max_restarts + 1):
            try:
                if not self.ranks and what != "start":
                    self._revive()
                return action()
            except LostProcess as lost:
                self.close()
                if attempt == self.cluster.max_restarts:
                    raise give_up(lost, attempt) from lost
                self.events.restarted("learner", str(lost))

    def _revive(self) -> None:
        """Start all ranks and bring them to self.step: a checkpoint, then the batches since."""
        self._start()
        folder = self.newest_checkpoint()
        begin = self._load(folder) if folder is not None and self.step else 0
        assert begin <= self.step, f"checkpoint {folder} is newer than step {self.step}"
        for step in range(begin, self.step):
            self._update(self._batches[step])

    def _start(self) -> None:
        limits, world = self.cluster.timeouts, self.cluster.learner_ranks
        rank = ray.remote(LearnerRank)
        self.ranks = [
            rank.options(**self.placement.learner_options(index)).remote(
                self.spec, self.placement.num_threads
            )
            for index in range(world)
        ]
        opened = Call("learner rank 0", self.ranks[0].open_store.remote(world))
        (meeting,) = wait_all([opened], limits.start_s, "start")
        calls = [
            Call(f"learner rank {i}", r.join.remote(meeting, i, world, limits.update_s))
            for i, r in enumerate(self.ranks)
        ]
        self.process_ids = wait_all(calls, limits.start_s, "load the model")

    def _ask(self, method: str, limit: float, *args: Any) -> list[Any]:
        """Call a method of every rank and wait for all."""
        calls = [
            Call(f"learner rank {i}", getattr(rank, method).remote(*args))
            for i, rank in enumerate(self.ranks)
        ]
        return wait_all(calls, limit, f"{method} at step {self.step}")

    def _update(self, batch: TrainBatch) -> dict[str, float]:
        limit = self.cluster.timeouts.update_s
        return self._ask("update", limit, ray.put(batch))[0]

    def _load(self, folder: Path) -> int:
        limit = self.cluster.timeouts.save_s
        return self._ask("load", limit, folder.resolve())[0]

    def _gather(self) -> list[Any]:
        """References to the buckets of the policy's weights; the driver owns them."""
        limit, what = self.cluster.timeouts.sync_s, f"send the weights of step {self.step}"
        method = self.ranks[0].send_weights.options(num_returns="streaming")
        stream = method.remote(self.cluster.bucket_mb * 2**20)
        helpers = [
            Call(f"learner rank {i}", rank.help_to_send.remote())
            for i, rank in enumerate(self.ranks[1:], 1)
        ]
        references = []
        while True:
            if not ray.wait([stream], timeout=limit)[0]:
                raise LostProcess(late(["learner rank 0"], limit, what))
            try:
                references.append(next(stream))
            except StopIteration:
                break
        answer(Call("learner rank 0", stream.completed()), what, limit)
        wait_all(helpers, limit, what)
        return references


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
