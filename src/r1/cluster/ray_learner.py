"""Learner ranks in Ray actors behind one learner of the driver: RL, SFT, DPO or a reward model.

The ranks are a torch.distributed group (gloo on CPUs, NCCL on GPUs). They live and die together: a
collective without one of its ranks cannot end. When one is lost the driver ends all, starts as many
again, loads the newest checkpoint (or the model the run began with) and repeats the updates since,
whose batches it keeps; every update depends on the state and the batch alone, so that the group
ends in the same state as before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import ray
from torch import Tensor

from r1.cluster import ray_weights
from r1.cluster.carried import Carried, carry, unpack
from r1.cluster.network import listen_where_ray_does
from r1.cluster.ray_calls import Call, Events, LostProcess, answer, give_up, late, wait_all
from r1.cluster.ray_placement import Placement
from r1.cluster.ray_weights import RemoteWeights, WeightBucket, pack
from r1.cluster.settings import ClusterSettings
from r1.learner.objective import Objective
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.models.device import returning_memory

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from r1.learner.ranks import Ranks


class RankSpec(Protocol):
    """The data from which every rank builds its learner; it is sent to the ranks."""

    @property
    def settings(self) -> LearnerSettings:
        """Return the learner's settings, which name its device."""

    def build(self, mesh: DeviceMesh) -> Any:
        """Build this rank's learner: step, update, save, load, and weights or measure."""


class LearnerSpec(NamedTuple):
    """Builds a policy; see r1.learner.local.LocalLearner. Implements RankSpec."""

    model: str
    settings: LearnerSettings
    optimizer: OptimizerSettings
    objective: Objective
    temperature: float
    total_steps: int
    seed: int
    teacher: str | None = None

    def build(self, mesh: DeviceMesh) -> Any:
        """RankSpec.build."""
        from r1.learner.local import LocalLearner
        from r1.models.load import load_tokenizer

        what = (self.model, self.settings, self.optimizer, self.objective)
        rest = (self.temperature, self.total_steps, self.seed, load_tokenizer(self.model))
        ranks = ranks_of(mesh, self.settings.autocast)
        return LocalLearner(*what, *rest, ranks, self.teacher)


class SupervisedSpec(NamedTuple):
    """Builds an SFTLearner, a DPOLearner or a RewardLearner. Implements RankSpec.

    learner: the class, or a partial of it.
    """

    learner: Callable[..., Any]
    model: str
    settings: LearnerSettings
    optimizer: OptimizerSettings
    total_steps: int
    seed: int
    tokenizer: Any

    def build(self, mesh: DeviceMesh) -> Any:
        """RankSpec.build."""
        what = (self.model, self.settings, self.optimizer, self.total_steps, self.seed)
        return self.learner(*what, self.tokenizer, ranks_of(mesh, self.settings.autocast))


def ranks_of(mesh: DeviceMesh, autocast: bool) -> Ranks | None:
    """Return the ranks of a mesh; None for a rank alone, which has nothing to shard or gather."""
    from r1.cluster.fsdp import ShardedRanks

    return None if mesh.size() == 1 else ShardedRanks(mesh, autocast)


class LearnerRank:
    """The actor's code: one rank of a sharded learner."""

    spec: RankSpec

    def __init__(self, spec: Carried, num_threads: int, shares_gpu: bool = False) -> None:
        """spec: a RankSpec, opened in `join`. shares_gpu: with an engine, which has the memory
        while this rank is at rest."""
        import torch

        torch.set_num_threads(num_threads)
        self.carried = spec
        self.at_work = partial(returning_memory, shares_gpu)
        self.learner: Any = None
        self.store: Any = None

    def open_store(self, world: int) -> tuple[str, int]:
        """Return the host and port at which the ranks meet; on rank 0 only."""
        import torch.distributed as dist

        host = ray.util.get_node_ip_address()
        self.store = dist.TCPStore(host, 0, world, True, wait_for_workers=False)
        return host, self.store.port

    def join(self, meeting: tuple[str, int], index: int, world: int, timeout_s: float) -> int:
        """Join the other ranks and build the learner; return the process's id.

        Raises UserError as the learner does, and for a plugin that this node lacks.
        """
        import torch
        import torch.distributed as dist
        from torch.distributed.device_mesh import init_device_mesh

        from r1.models.device import resolve_device

        self.spec = unpack(self.carried)
        limit = timedelta(seconds=timeout_s)
        if self.store is None:
            self.store = dist.TCPStore(*meeting, world, False, limit)
        device = resolve_device(self.spec.settings.device)
        if device.type == "cuda":
            torch.cuda.set_device(device.index or 0)  # "cuda" has no index, and is refused
        listen_where_ray_does(ray.util.get_node_ip_address())
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(
            backend, store=self.store, rank=index, world_size=world, timeout=limit
        )
        with self.at_work():
            self.learner = self.spec.build(init_device_mesh(device.type, (world,)))
        return os.getpid()

    def update(self, batch: Any) -> dict[str, float]:
        """Call the learner's update; all ranks together."""
        with self.at_work():
            return self.learner.update(batch)

    def measure(self, examples: Any) -> Any:
        """Call the learner's measure; all ranks together."""
        with self.at_work():
            return self.learner.measure(examples)

    def send_weights(self, max_bytes: int) -> Iterator[WeightBucket]:
        """Yield buckets of the current policy; rank 0 sends while the others help to gather."""
        with self.at_work():
            buckets = pack(self.learner.weights(), self.learner.step, max_bytes)
            for bucket in buckets:  # noqa: UP028 (Ray sends values into the generator)
                yield bucket

    def help_to_send(self) -> None:
        """Gather with rank 0 and keep nothing."""
        with self.at_work():
            for _ in self.learner.weights():
                pass

    def save(self, folder: Path) -> None:
        """Write this rank's part of a checkpoint; OSError (ENOSPC) for a full disk."""
        with self.at_work():
            self.learner.save(folder)

    def load(self, folder: Path) -> int:
        """Load a checkpoint; return the updates behind it."""
        with self.at_work():
            self.learner.load(folder)
        return self.learner.step


class RemoteLearner:
    """A learner over `learner_ranks` actors, each with the spec's learner. With a LearnerSpec it
    implements learner.protocol.Learner."""

    def __init__(
        self,
        spec: RankSpec,
        cluster: ClusterSettings,
        placement: Placement,
        events: Events,
        newest_checkpoint: Callable[[], Path | None],
    ) -> None:
        """Start the ranks. newest_checkpoint: the folder of the last `save`, None before the first.

        Starts the ranks and waits for them. Raises UserError as the learner does.
        """
        self.spec, self.cluster = spec, cluster
        self.placement, self.events = placement, events
        self.newest_checkpoint = newest_checkpoint
        self.step = 0
        self.ranks: list[Any] = []
        self.process_ids: list[int] = []
        self._batches: dict[int, Any] = {}
        self._saved = [0]  # a checkpoint counts when it is whole; until then the model itself does
        self._one_at_a_time = threading.Lock()
        self._retried("start", self._revive)

    def update(self, batch: Any) -> dict[str, float]:
        """Call the learner's update on all ranks; add pool/..._restarts since the last update. The
        arguments must not change afterwards."""
        self._batches[self.step] = batch

        def learn() -> dict[str, float]:
            metrics = self._update(batch)
            self.step += 1
            return metrics

        return {**self._retried("update", learn), **self.events.take()}

    def measure(self, examples: Any) -> Any:
        """Call the learner's measure on all ranks."""
        reference, limit = ray.put(examples), self.cluster.timeouts.update_s
        return self._retried("measure", lambda: self._ask("measure", limit, reference)[0])

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Return the policy's weights, gathered now; an engine that knows RemoteWeights takes its
        references, any other iterates over the tensors."""

        def gather() -> RemoteWeights:
            return RemoteWeights(self.step, self._gather(), self.weights)  # type: ignore

        return self._retried("send its weights", gather)

    def save(self, folder: Path) -> None:
        """Have every rank write its part; all nodes must share `folder`'s file system."""
        limit = self.cluster.timeouts.update_s
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
        """Resume from a checkpoint of any number of ranks."""
        self.step = self._retried("load", lambda: self._load(folder))
        self._batches, self._saved = {}, [self.step]

    def close(self) -> None:
        """End the ranks."""
        for rank in self.ranks:
            ray.kill(rank, no_restart=True)
        self.ranks = []

    def _retried(self, what: str, action: Callable[[], Any]) -> Any:
        # An engine that lost its weights asks for them from a thread beside the loop's; ranks that
        # are asked for two collectives at once could each begin with another. The step changes
        # under the lock with the ranks: else that thread could take new weights for old ones, or
        # bring ranks that died back to the step before the last.
        with self._one_at_a_time:
            return self._tried(what, action)

    def _tried(self, what: str, action: Callable[[], Any]) -> Any:
        """Do something that needs all ranks; restart the group if a rank is lost."""
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
        """Start all ranks and bring them to self.step: load a checkpoint, then repeat the batches
        since."""
        self._start()
        folder = self.newest_checkpoint()
        begin = self._load(folder) if folder is not None and self.step else 0
        assert begin <= self.step, f"checkpoint {folder} is newer than step {self.step}"
        for step in range(begin, self.step):
            self._update(self._batches[step])

    def _start(self) -> None:
        limits, world = self.cluster.timeouts, self.cluster.learner_ranks
        rank, spec = ray.remote(LearnerRank), carry(self.spec)
        self.ranks = [
            rank.options(**self.placement.learner_options(index)).remote(
                spec, self.placement.num_threads, self.placement.shared
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

    def _update(self, batch: Any) -> dict[str, float]:
        return self._ask("update", self.cluster.timeouts.update_s, ray.put(batch))[0]

    def _load(self, folder: Path) -> int:
        limit = self.cluster.timeouts.update_s
        return self._ask("load", limit, folder.resolve())[0]

    def _gather(self) -> list[Any]:
        """Return references to the buckets of the policy's weights; the driver owns them."""
        limit, what = self.cluster.timeouts.sync_s, f"send the weights of step {self.step}"
        method = self.ranks[0].send_weights.options(num_returns="streaming")
        stream = method.remote(ray_weights.BUCKET_BYTES)
        helpers = [
            Call(f"learner rank {i}", rank.help_to_send.remote())
            for i, rank in enumerate(self.ranks[1:], 1)
        ]
        references, end = [], time.monotonic() + limit
        while True:
            if not ray.wait([stream], timeout=max(0.0, end - time.monotonic()))[0]:
                raise LostProcess(late(["learner rank 0", *_silent(helpers)], limit, what))
            try:
                references.append(next(stream))
            except StopIteration:
                break
        answer(Call("learner rank 0", stream.completed()), what, limit)
        wait_all(helpers, limit, what)
        return references


def _silent(calls: list[Call]) -> list[str]:
    """Return the names of the processes that have not answered."""
    if not calls:
        return []
    _, pending = ray.wait([c.reference for c in calls], num_returns=len(calls), timeout=0)
    return [call.name for call in calls if call.reference in pending]


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
