"""Engine replicas that accept more groups and new weights while they sample.

A replica samples in one thread and listens in another (a Ray concurrency group), so that weights
reach it between two decode steps rather than after its last group. The driver keeps every replica's
batch full: a group goes to the replica with the fewest samples under way as soon as one has room.
A replica that dies is started again with the newest weights, under which its groups begin anew.

Left out on purpose: taking groups back from a replica that is slower than expected.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast

import ray

from r1.cluster.ray_calls import Call, Events, LostProcess, answer, late
from r1.cluster.ray_engine import EngineReplica, RemoteEngine
from r1.cluster.ray_placement import Placement
from r1.cluster.ray_weights import WeightBucket
from r1.cluster.settings import ClusterSettings
from r1.rollout.protocol import FinishedGroup, PartialEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import GroupRequest

LISTENS = "listens"
_MOMENT_S = 0.1
_decorate: Any = ray.remote  # its annotations lack concurrency_groups


class PartialReplica(EngineReplica):
    """The actor's code: one engine, and the ids of the groups that it owes."""

    def __init__(self) -> None:
        # A lock alone would mostly fall to the thread that has just let go of it, which samples:
        # whoever wants the engine first waits at the door, where that thread then must wait too.
        self.door, self.work = Lock(), Lock()
        self.owed: set[str] = set()

    def add(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> None:
        """Add groups to those in progress; `sample` yields them."""
        with self.door, self.work:
            cast(PartialEngine, self.engine).submit(requests, sampling)
            self.owed |= {request.id for request in requests}

    def exchange(self, version: int, *buckets: WeightBucket) -> int:
        """Load weights between two decode steps, as load_weights."""
        with self.door, self.work:
            return self.load_weights(version, *buckets)

    def sample(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Add groups; then yield those that end until none is owed."""
        if requests:
            self.add(requests, sampling)
        while self.owed:
            with self.door:
                self.work.acquire()
            try:
                ended = cast(PartialEngine, self.engine).poll()
                self.owed -= {finished.request.id for finished in ended}
            finally:
                self.work.release()
            for finished in ended:  # noqa: UP028 (Ray sends values into the generator)
                yield finished


@dataclass(eq=False)
class _Rolling:
    """A replica at work: its stream, the groups it owes, and when it last returned one."""

    stream: Any
    since: float
    owed: dict[str, GroupRequest] = field(default_factory=dict)
    added: list[Any] = field(default_factory=list)

    @property
    def num_samples(self) -> int:
        return sum(len(request.seeds) for request in self.owed.values())


class PartialRemoteEngine(RemoteEngine):
    """Implements rollout.protocol.PartialEngine over replicas.

    `generate` works as RemoteEngine's while nothing that was submitted is under way.
    """

    replica_class: Any = _decorate(concurrency_groups={LISTENS: 1})(PartialReplica)
    _sampling: SamplingSettings

    def __init__(
        self,
        model: str,
        settings: EngineSettings,
        cluster: ClusterSettings,
        placement: Placement,
        events: Events,
        first: int = 0,
    ) -> None:
        """As RemoteEngine."""
        self._queue: deque[GroupRequest] = deque()
        self._rolling: dict[int, _Rolling] = {}
        super().__init__(model, settings, cluster, placement, events, first)

    def submit(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> None:
        """Queue groups for a replica with free rows."""
        self._sampling = sampling
        self._queue.extend(requests)

    def poll(self) -> list[FinishedGroup]:
        """Assign waiting groups; then return the groups that end within a tenth of a second.

        Raises as `generate` does.
        """
        self._assign_waiting()
        self._count_usage()
        rolling = list(self._rolling.items())
        waited = [ref for _, rolls in rolling for ref in (rolls.stream, *rolls.added)]
        if not waited:
            return []
        ray.wait(waited, timeout=_MOMENT_S)
        ready, _ = ray.wait(waited, num_returns=len(waited), timeout=0)
        finished: list[FinishedGroup] = []
        for index, rolls in rolling:
            try:
                finished += self._progress(index, rolls, ready)
            except LostProcess as lost:
                self._restart(self.replicas[index], lost)
        self._count_usage()
        return finished

    def _count_usage(self) -> None:
        busy = [f"engine_{index}" for index, rolls in self._rolling.items() if rolls.owed]
        self.usage.now(busy, len(self._queue))

    def _assign_waiting(self) -> None:
        """Give waiting groups to the replicas with the fewest samples, up to a batch each."""
        under_way = {
            replica.index: self._rolling[replica.index].num_samples
            if replica.index in self._rolling
            else 0
            for replica in self.replicas
        }
        dealt: dict[int, list[GroupRequest]] = {}
        while self._queue:
            index = min(under_way, key=lambda index: under_way[index])
            samples = len(self._queue[0].seeds)
            if under_way[index] and under_way[index] + samples > self.settings.max_batch:
                break
            under_way[index] += samples
            dealt.setdefault(index, []).append(self._queue.popleft())
        for index, requests in dealt.items():
            self._give(index, requests)

    def _give(self, index: int, requests: list[GroupRequest]) -> None:
        actor, rolls = self.replicas[index].actor, self._rolling.get(index)
        if rolls is None:
            rolls = self._rolling[index] = self._begin_to_roll(index, requests)
        else:
            if not rolls.owed:
                rolls.since = time.monotonic()
            listener = actor.add.options(concurrency_group=LISTENS)
            rolls.added.append(listener.remote(requests, self._sampling))
        rolls.owed |= {request.id: request for request in requests}

    def _begin_to_roll(self, index: int, requests: list[GroupRequest]) -> _Rolling:
        method = self.replicas[index].actor.sample.options(num_returns="streaming")
        return _Rolling(method.remote(requests, self._sampling), time.monotonic())

    def _progress(self, index: int, rolls: _Rolling, ready: list[Any]) -> list[FinishedGroup]:
        """Handle a replica's event, also that it is late. Raises LostProcess."""
        replica, limit = self.replicas[index], self.cluster.timeouts.generate_s
        for reference in [added for added in rolls.added if added in ready]:
            answer(Call(replica.name, reference), "take groups", limit)
            rolls.added.remove(reference)
        if rolls.stream not in ready:
            if time.monotonic() >= rolls.since + limit:
                raise LostProcess(late([replica.name], limit, "end a group"))
            return []
        try:
            reference = next(rolls.stream)
        except StopIteration:
            self._ended(index, rolls)
            return []
        finished: FinishedGroup = answer(Call(replica.name, reference), "sample", limit)
        newest = max(completion.version for completion in finished.completions)
        assert newest <= self.version, f"a sample of version {newest}, held is {self.version}"
        del rolls.owed[finished.request.id]
        rolls.since, replica.lost = time.monotonic(), 0
        return [finished]

    def _ended(self, index: int, rolls: _Rolling) -> None:
        """Handle the end of a stream: the replica owed nothing, though groups may be on their way
        to it."""
        del self._rolling[index]
        if rolls.owed:
            again = self._begin_to_roll(index, [])
            again.owed, again.added = rolls.owed, rolls.added
            self._rolling[index] = again

    def _restart(self, replica: Any, lost: LostProcess) -> None:
        rolls = self._rolling.pop(replica.index, None)
        if rolls is not None:
            self._queue.extendleft(reversed(rolls.owed.values()))
        super()._restart(replica, lost)

    def _ask_to_load(self, replica: Any) -> Call:
        if replica.index not in self._rolling:
            return super()._ask_to_load(replica)
        assert self.weights is not None
        listener = replica.actor.exchange.options(concurrency_group=LISTENS)
        return Call(replica.name, listener.remote(self.version, *self.weights.references))
