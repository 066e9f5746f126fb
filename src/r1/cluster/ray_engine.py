"""Engine replicas in Ray actors behind one Engine of the driver.

Groups are assigned in calls that fill a replica's batch; a replica gets its next call when it has
finished the previous one, so that a slow replica takes fewer. Each group comes back as soon as its
last sample has ended. A sample follows from its seed and the weights alone, so it does not matter
which replica draws it, nor how often: a replica that dies is started again with the weights of the
driver's version, and its unfinished groups return to the queue.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from torch import Tensor

from r1.cluster.offspring import guard, note_memory
from r1.cluster.ray_calls import (
    Call,
    ClusterError,
    Events,
    LostProcess,
    answer,
    give_up,
    late,
    wait_all,
)
from r1.cluster.ray_placement import Placement
from r1.cluster.ray_weights import RemoteWeights, WeightBucket, unpack
from r1.cluster.settings import ClusterSettings
from r1.models.device import returning_memory
from r1.rollout.protocol import AbortedError, FinishedGroup, LoadedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.rollout.usage import Usage
from r1.types import GroupRequest

_MOMENT_S = 0.5


class EngineReplica:
    """The actor's code: one engine."""

    engine: LoadedEngine
    version = -1
    shares_gpu = False

    def start(
        self,
        model: str,
        settings: EngineSettings,
        num_threads: int,
        owner: str,
        shares_gpu: bool = False,
    ) -> int:
        """Load the model; return the process's id. (Not in __init__: there Ray would turn a
        UserError into a dead actor.)

        owner: the replica's name, whose processes and memory of an earlier life are ended first.
        shares_gpu: with a learner's rank, which has the memory while this engine is at rest.
        """
        import torch

        from r1.rollout.make import make_engine

        torch.set_num_threads(num_threads)
        self.shares_gpu = shares_gpu
        if settings.kind == "vllm":
            guard(owner)
            set_up_vllm(num_threads, settings.vllm.tensor_parallel_size)
        self.engine = make_engine(model, settings)
        if settings.kind == "vllm":
            note_memory()
        return os.getpid()

    def load_weights(self, version: int, *buckets: WeightBucket) -> int:
        """Load all buckets of a version's weights; return the current version."""
        wrong = {bucket.version for bucket in buckets} - {version}
        assert not wrong, f"weights of versions {wrong} came for version {version}"
        with returning_memory(self.shares_gpu):
            self.engine.load_weights(unpack(buckets), version)
        self.version = version
        return self.version

    def serve_folder(self) -> int:
        """Serve the weights that were loaded with the model as version 0; return 0."""
        self.version = 0
        return self.version

    def num_parameters(self) -> int:
        """Return the number of parameters."""
        return self.engine.num_parameters

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings, version: int
    ) -> Iterator[FinishedGroup]:
        """Engine.generate, under the weights of exactly `version`."""
        assert version == self.version, f"holds version {self.version}, asked for {version}"
        with returning_memory(self.shares_gpu):
            # Ray sends values into the generator, which `yield from` would pass to the engine's.
            for finished in self.engine.generate(requests, sampling):  # noqa: UP028
                yield finished


def set_up_vllm(num_threads: int, ranks: int) -> None:
    """Set the threads of vLLM's processes on CPUs, unbound: vLLM would bind every engine's to the
    same cores. The user's own binding is kept."""
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ["OMP_NUM_THREADS"] = str(max(1, num_threads // ranks))


@dataclass(eq=False)
class _Replica:
    """A replica as the driver sees it. lost: deaths in a row without progress."""

    index: int
    name: str
    actor: Any = None
    started: Any = None
    process_id: int = 0
    lost: int = 0


@dataclass(eq=False)
class _Running:
    """A call in progress: the groups it still owes, and when it last returned one."""

    replica: _Replica
    stream: Any
    owed: dict[str, GroupRequest]
    since: float


class RemoteEngine:
    """Implements rollout.protocol.Engine over `engine_replicas` actors."""

    replica_class: Any = ray.remote(EngineReplica)

    def __init__(
        self,
        model: str,
        settings: EngineSettings,
        cluster: ClusterSettings,
        placement: Placement,
        events: Events,
        first: int = 0,
        groups_per_call: int | None = None,
    ) -> None:
        """Start the replicas; they load the model meanwhile, `load_weights` waits for them.

        first: what messages call the first of them. groups_per_call: groups that a replica is
        given at once; by default as many as fill its batch.
        """
        self.model, self.settings, self.cluster = model, settings, cluster
        self.name = f"r1-{uuid.uuid4().hex[:12]}"
        self.placement, self.events = placement, events
        self.weights: RemoteWeights | None = None  # None: those of the model's folder
        self.version = -1
        self.closed, self._aborts = False, 0
        self._groups_per_call = groups_per_call
        numbers = range(cluster.engine_replicas)
        self.replicas = [_Replica(index, f"engine replica {first + index}") for index in numbers]
        for replica in self.replicas:
            self._start(replica)
        self.usage = Usage([f"engine_{replica.index}" for replica in self.replicas])

    def wait_started(self) -> None:
        """Wait until every replica has started or failed to, which `load_weights` deals with.

        vLLM measures how much of the GPU is free as it starts, and takes whatever another process
        allocates meanwhile for its own: nobody else may come to its GPU before this returns.
        """
        started = [replica.started for replica in self.replicas]
        ray.wait(started, num_returns=len(started), timeout=self.cluster.timeouts.start_s)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]], version: int) -> None:
        """Give every replica the weights; a RemoteLearner's do not pass through this process."""
        self.weights = RemoteWeights.of(weights, version)
        assert self.weights.version == version
        self.version = version
        asked = [(replica, self._ask_to_load(replica)) for replica in self.replicas]
        for replica, call in asked:
            try:
                self._check_version(replica, call)
                replica.lost = 0
            except LostProcess as lost:
                self._restart(replica, lost)

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Yield every request's group when it has ended, from any replica.

        Raises UserError as the replica's engine does, and ClusterError where a replica was lost
        more than max_restarts times in a row.
        """
        aborts = self._aborts
        waiting = deque(self._calls(requests))
        running: list[_Running] = []
        while waiting or running:
            busy = {call.replica.index for call in running}
            for replica in self.replicas:
                if waiting and replica.index not in busy:
                    running.append(self._begin(replica, waiting.popleft(), sampling))
            busy_names = [f"engine_{call.replica.index}" for call in running]
            self.usage.now(busy_names, sum(map(len, waiting)))
            ready = self._ready(running)
            if self._aborts != aborts:
                self.usage.now()
                raise AbortedError("the replicas were told to stop")
            for call in ready:
                try:
                    finished = self._next(call)
                except LostProcess as lost:
                    running.remove(call)
                    waiting.appendleft(list(call.owed.values()))
                    self._restart(call.replica, lost)
                    continue
                if finished is None:
                    assert not call.owed, f"{call.replica.name} left out {list(call.owed)}"
                    running.remove(call)
                    continue
                del call.owed[finished.request.id]
                yield finished
        self.usage.now()

    def abort(self) -> None:
        """Implement AbortableEngine; replicas still finish what they were given."""
        self._aborts += 1

    def serve_folder(self) -> None:
        """Have every replica serve the model's own weights as version 0."""
        self.version = 0
        for replica, call in [(replica, self._ask_to_load(replica)) for replica in self.replicas]:
            try:
                self._check_version(replica, call)
            except LostProcess as lost:
                self._restart(replica, lost)

    def model_size(self) -> int:
        """Return the model's number of parameters; ClusterError as `generate`."""
        replica = self.replicas[0]
        while True:
            call = Call(replica.name, replica.actor.num_parameters.remote())
            try:
                limit = self.cluster.timeouts.sync_s
                (number,) = wait_all([call], limit, "tell the model's size")
                return int(number)
            except LostProcess as lost:
                self._restart(replica, lost)

    def close(self) -> None:
        """End the replicas; a waiting thread gets ClusterError."""
        self.closed = True
        for replica in self.replicas:
            ray.kill(replica.actor, no_restart=True)

    def _calls(self, requests: Sequence[GroupRequest]) -> list[list[GroupRequest]]:
        """Split the requests into calls: even over replicas, none above an engine's batch."""
        if not requests:
            return []
        size = self._groups_per_call
        if not size:
            samples = max(1, max(len(request.seeds) for request in requests))
            fits = max(1, self.settings.max_batch // samples)
            even = math.ceil(len(requests) / len(self.replicas))
            size = min(fits, even)
        return [list(requests[i : i + size]) for i in range(0, len(requests), size)]

    def _begin(
        self, replica: _Replica, requests: list[GroupRequest], sampling: SamplingSettings
    ) -> _Running:
        method = replica.actor.generate.options(num_returns="streaming")
        stream = method.remote(requests, sampling, self.version)
        owed = {request.id: request for request in requests}
        return _Running(replica, stream, owed, time.monotonic())

    def _ready(self, running: list[_Running]) -> list[_Running]:
        """Wait briefly for an event; return the calls that are ready or overdue."""
        limit = self.cluster.timeouts.generate_s
        oldest = min(call.since for call in running)
        wait_s = min(max(0.0, oldest + limit - time.monotonic()), _MOMENT_S)
        ready, _ = ray.wait([call.stream for call in running], timeout=wait_s)
        if ready:
            return [call for call in running if call.stream in ready]
        return [call for call in running if time.monotonic() >= call.since + limit]

    def _next(self, call: _Running) -> FinishedGroup | None:
        """Return the call's next group, None at its end. Raises LostProcess if a group is
        missing."""
        limit = self.cluster.timeouts.generate_s
        if not ray.wait([call.stream], timeout=0)[0]:
            raise LostProcess(late([call.replica.name], limit, "end a group"))
        try:
            reference = next(call.stream)
        except StopIteration:
            return None
        finished: FinishedGroup = answer(Call(call.replica.name, reference), "sample", limit)
        versions = {completion.version for completion in finished.completions}
        assert versions == {self.version}, f"samples of versions {versions}, not {self.version}"
        call.since = time.monotonic()
        call.replica.lost = 0
        return finished

    def _start(self, replica: _Replica) -> None:
        options = self.placement.engine_options(replica.index)
        replica.actor = self.replica_class.options(**options).remote()
        replica.started = replica.actor.start.remote(
            self.model,
            self.settings,
            self.placement.engine_threads,
            f"{self.name}-{replica.index}",
            self.placement.shared,
        )

    def _restart(self, replica: _Replica, lost: LostProcess) -> None:
        """Start a new process in its place, with the driver's version of the weights."""
        while True:
            if self.closed:
                raise ClusterError("the engine was closed") from lost
            replica.lost += 1
            if replica.lost > self.cluster.max_restarts:
                raise give_up(lost, self.cluster.max_restarts) from lost
            self.events.restarted("engine", str(lost))
            ray.kill(replica.actor, no_restart=True)
            self._start(replica)
            try:
                self._check_version(replica, self._ask_to_load(replica))
                return
            except LostProcess as again:
                # A lost node takes its buckets with it; a second failure may be for want of them.
                lost = again
                self.weights = None if self.weights is None else self.weights.renewed()

    def _ask_to_load(self, replica: _Replica) -> Call:
        if self.weights is None:
            assert self.version == 0, "load_weights comes first"
            return Call(replica.name, replica.actor.serve_folder.remote())
        reference = replica.actor.load_weights.remote(self.version, *self.weights.references)
        return Call(replica.name, reference)

    def _check_version(self, replica: _Replica, call: Call) -> None:
        limits = self.cluster.timeouts
        started = Call(replica.name, replica.started)
        (replica.process_id,) = wait_all([started], limits.start_s, "start")
        what = f"take the weights of version {self.version}"
        (held,) = wait_all([call], limits.sync_s, what)
        assert held == self.version, f"{call.name} holds version {held}"
