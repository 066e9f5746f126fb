"""Where the processes go: the cluster reached, its resources compared, a placement group reserved.

Learner rank i and engine replica i share a bundle ("shared": while one computes the other waits) or
have one each ("separate"); a vLLM engine's bundle has a GPU for each of its ranks, or their CPUs.
Everything that can be wrong with a cluster is said before anything starts: Ray missing, nobody at
the address, other versions, fewer CPUs or GPUs than the recipe asks for, too little memory.

Left out on purpose: starting a cluster's nodes (Slurm, KubeRay and `ray start` do), and Ray's own
client protocol (ray://), which has no streaming of results.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from r1.cluster.needs import (
    Gpus,
    Needs,
    check_memory,
    check_shared_gpu,
    check_versions,
    gpus_of,
)
from r1.cluster.settings import ClusterSettings
from r1.errors import UserError

try:
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    from r1.cluster.ray_probe import nodes_of, own_node
except ImportError:
    raise UserError('[cluster] needs Ray: pip install "r1[cluster]".') from None

_PROBE = """
import sys
from ray._raylet import GcsClient
print("imported", flush=True)
GcsClient(address=sys.argv[1])
"""


class Bundles(NamedTuple):
    """What is reserved: one dictionary of resources a bundle, and whose bundle is which."""

    resources: list[dict[str, float]]
    learner: list[int]
    engine: list[int]


class Placement(NamedTuple):
    """A reserved placement group."""

    group: Any
    bundles: Bundles
    shared: bool
    gpus_per_learner: int
    gpus_per_engine: int

    @property
    def num_threads(self) -> int:
        """Threads of a learner rank: the CPUs of its bundle, which no other uses at that time."""
        return self._threads(self.bundles.learner)

    @property
    def engine_threads(self) -> int:
        """Threads of an engine, over all its ranks."""
        return self._threads(self.bundles.engine)

    def _threads(self, bundles: list[int]) -> int:
        return max(1, int(min((self.bundles.resources[i]["CPU"] for i in bundles), default=1.0)))

    def learner_options(self, index: int) -> dict[str, Any]:
        """Options of learner rank `index`'s actor."""
        return self._options(self.bundles.learner[index], self.gpus_per_learner)

    def engine_options(self, index: int) -> dict[str, Any]:
        """Options of engine replica `index`'s actor."""
        return self._options(self.bundles.engine[index], self.gpus_per_engine)

    def _options(self, bundle: int, num_gpus: int) -> dict[str, Any]:
        part = 0.5 if self.shared else 1.0
        return {
            "num_cpus": self.bundles.resources[bundle]["CPU"] * part,
            "num_gpus": num_gpus * part,
            "max_restarts": 0,  # the driver starts it again, with the weights it must have
            "max_concurrency": 1,
            "scheduling_strategy": PlacementGroupSchedulingStrategy(
                self.group, placement_group_bundle_index=bundle
            ),
        }


def plan_bundles(
    settings: ClusterSettings,
    gpus_per_learner: int,
    gpus_per_engine: int,
    tensor_parallel: int = 1,
) -> Bundles:
    """The bundles that a recipe asks for.

    tensor_parallel: ranks of an engine, which on CPUs are processes of cpus_per_process each.
    """
    ranks, replicas = settings.learner_ranks, settings.engine_replicas
    processes = 1 if gpus_per_engine else tensor_parallel
    if settings.placement == "shared":
        number, gpus = max(ranks, replicas), max(gpus_per_learner, gpus_per_engine)
        if gpus > 1:
            raise UserError(
                f"an engine over {gpus_per_engine} GPUs (engine.vllm.tensor_parallel_size or "
                "cluster.gpus_per_engine) needs GPUs of its own; set "
                'cluster.placement = "separate".'
            )
        resources = [
            _bundle(settings, gpus, processes if i < replicas else 1) for i in range(number)
        ]
        return Bundles(resources, list(range(ranks)), list(range(replicas)))
    resources = [_bundle(settings, gpus_per_learner)] * ranks
    resources += [_bundle(settings, gpus_per_engine, processes)] * replicas
    return Bundles(resources, list(range(ranks)), list(range(ranks, ranks + replicas)))


def _bundle(settings: ClusterSettings, gpus: int, processes: int = 1) -> dict[str, float]:
    cpus = settings.cpus_per_process * processes
    return {"CPU": cpus, **({"GPU": float(gpus)} if gpus else {})}


@contextmanager
def placed(settings: ClusterSettings, needs: Needs) -> Iterator[Placement]:
    """Reach the cluster and reserve what the recipe asks for; let go of both in the end.

    Raises UserError.
    """
    local = _connect(settings)
    try:
        there_are = ray.cluster_resources().get("GPU", 0.0) > 0
        gpus = gpus_of(settings, needs, there_are)
        bundles = plan_bundles(settings, gpus.learner, gpus.engine, needs.tensor_parallel)
        check_resources(settings, bundles, [node_resources(node) for node in ray.nodes()])
        _check_nodes(settings, needs, gpus, local)
        group = _reserve(bundles, settings.timeouts.start_s)
        try:
            yield Placement(group, bundles, settings.placement == "shared", *gpus)
        finally:
            remove_placement_group(group)
    finally:
        ray.shutdown()


def _check_nodes(settings: ClusterSettings, needs: Needs, gpus: Gpus, local: bool) -> None:
    """Ask the nodes and compare them with the driver and with what is needed. Raises UserError."""
    alive = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    nodes = nodes_of(alive, local, settings.timeouts.connect_s)
    check_versions(own_node(), nodes, needs, gpus)
    if len(nodes) == len(alive):
        check_memory(settings, needs, gpus, nodes)
    check_shared_gpu(settings, needs, gpus, nodes)


def node_resources(node: dict[str, Any]) -> dict[str, float]:
    """CPUs and GPUs of one of ray.nodes(); nothing of a node that is gone."""
    return node["Resources"] if node["Alive"] else {}


def check_resources(
    settings: ClusterSettings, bundles: Bundles, nodes: list[dict[str, float]]
) -> None:
    """Compare what is asked for with what there is. Raises UserError that names the numbers."""
    for kind in ("CPU", "GPU"):
        asked = sum(bundle.get(kind, 0.0) for bundle in bundles.resources)
        there = sum(node.get(kind, 0.0) for node in nodes)
        if asked > there:
            raise UserError(
                f"[cluster] asks for {asked:g} {kind}s ({settings.learner_ranks} learner ranks and "
                f"{settings.engine_replicas} engine replicas, {settings.placement}), but the "
                f"cluster has {there:g}: {_remedy(settings, kind)}"
            )
        largest = max(bundle.get(kind, 0.0) for bundle in bundles.resources)
        if largest > max((node.get(kind, 0.0) for node in nodes), default=0.0):
            raise UserError(
                f"[cluster] asks for {largest:g} {kind}s on one node, but no node has as many."
            )


def _remedy(settings: ClusterSettings, kind: str) -> str:
    if not settings.learner_ranks:
        ways = ["lower cluster.engine_replicas"]
    else:
        ways = ["lower cluster.learner_ranks or cluster.engine_replicas"]
    if kind == "GPU":
        ways.append('set learner.device and engine.device = "cpu"')
    if settings.placement == "separate" and settings.learner_ranks:
        ways.append('set cluster.placement = "shared"')
    if kind == "CPU":
        ways.append(f"lower cluster.cpus_per_process (now {settings.cpus_per_process:g})")
    return ", or ".join(ways) + "."


def check_early(settings: ClusterSettings, num_cpus: int | None) -> None:
    """What can be told of a cluster before a model's libraries are even imported: an address where
    no Ray answers, more CPUs than a cluster of this machine would have. Raises UserError.

    num_cpus: of this machine; None where learner and engines are not placed together.
    """
    address = settings.address
    if address not in ("auto", "local"):
        _check_address(settings)
    elif num_cpus is not None and (address == "local" or not _running_cluster()):
        check_resources(settings, plan_bundles(settings, 0, 0), [{"CPU": float(num_cpus)}])


def _connect(settings: ClusterSettings) -> bool:
    """ray.init, with the mistakes of an address found within connect_s; whether it was started for
    this run alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # By default Ray's workers yield to whatever else runs, verifiers and their sandboxes included.
    os.environ.setdefault("RAY_worker_niceness", "0")
    address = settings.address
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "auto" and not _running_cluster():
        address = "local"
    if address == "local":
        ray.init(address="local", include_dashboard=False, **quiet)
        return True
    if address != "auto":
        _check_address(settings)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        ray.shutdown()  # it may be half connected
        if "Version mismatch" in str(error):
            raise UserError(
                f"cluster.address = {address!r}: {' '.join(str(error).split())} Install the same "
                "Ray and Python on both sides."
            ) from error
        raise _no_ray(address, _first_line(error)) from error
    return False


def _running_cluster() -> bool:
    """Whether Ray runs on this machine, or its environment names a cluster."""
    if os.environ.get("RAY_ADDRESS"):
        return True
    from ray._private.services import find_bootstrap_address

    return find_bootstrap_address(None) is not None


def _check_address(settings: ClusterSettings) -> None:
    address = settings.address
    if address.startswith("ray://"):
        raise UserError(
            f"cluster.address = {address!r}: give HOST:PORT of the head node (its GCS, port 6379 "
            "by default) and start r1 on a node of the cluster; ray:// is not supported."
        )
    _check_reachable(address, settings.timeouts.connect_s)


def _check_reachable(address: str, timeout_s: float) -> None:
    """Whether somebody listens at an address, and whether it is Ray."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f'cluster.address = {address!r} is not "auto", "local" or HOST:PORT.')
    end = time.monotonic() + timeout_s
    try:
        socket.create_connection((host, int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cluster.address = {address!r}: nobody answers there ({_first_line(error)}, waited "
            f"at most {timeout_s:g} s). Start the head with `ray start --head --port={port}`, or "
            'set cluster.address = "local".'
        ) from None
    # A process of its own: in this one Ray would go on trying for minutes, and then end it.
    probe = subprocess.Popen(
        [sys.executable, "-c", _PROBE, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with probe:
        assert probe.stdout is not None
        probe.stdout.readline()  # Ray is imported; the clock is for the cluster alone
        try:
            answers = probe.wait(max(1.0, end - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            answers = False
            probe.kill()
    if not answers:
        raise _no_ray(address, f"waited {timeout_s:g} s")


def _no_ray(address: str, reason: str) -> UserError:
    return UserError(
        f"cluster.address = {address!r}: somebody listens, but Ray does not answer ({reason}). Is "
        "it the head's GCS port, and are Ray and Python of the same versions on both sides?"
    )


def _reserve(bundles: Bundles, timeout_s: float) -> Any:
    group = placement_group(bundles.resources, strategy="PACK")
    if not group.wait(timeout_s):
        remove_placement_group(group)
        free = {k: v for k, v in ray.available_resources().items() if k in ("CPU", "GPU")}
        raise UserError(
            f"the driver waited {timeout_s:g} s for the cluster to free {bundles.resources}; free "
            f"are {free}: other runs hold the rest."
        )
    return group


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
