"""Place processes: connect to the cluster, compare resources, reserve a placement group.

Learner rank i and engine replica i share a bundle ("shared": while one computes the other waits) or
have one each ("separate"); a vLLM engine's bundle has a GPU for each of its ranks, or their CPUs. A
reward model's servers have theirs. Every fault of a cluster is reported before anything starts: no
Ray, no answer at the address, other versions, too few CPUs or GPUs for the recipe, too little
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from r1.cluster.needs import (
    Demand,
    Gpus,
    Needs,
    check_devices,
    check_gpu_setting,
    check_memory,
    check_shared_gpu,
    check_versions,
    gpus_of,
)
from r1.cluster.settings import NO_RAY, ClusterSettings
from r1.errors import UserError

try:
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    from r1.cluster.ray_connect import CONNECT_S, connect, is_local
    from r1.cluster.ray_probe import Machines, machines_of, own_node, this_machine
except ImportError:
    raise UserError(NO_RAY) from None


class Bundles(NamedTuple):
    """A reservation: one dictionary of resources per bundle, and the owner of each bundle."""

    resources: list[dict[str, float]]
    learner: list[int]
    engine: list[int]
    reward: list[int]


class Placement(NamedTuple):
    """A reserved placement group."""

    group: Any
    bundles: Bundles
    shared: bool
    gpus_per_learner: int
    gpus_per_engine: int
    gpus_per_reward: int

    @property
    def num_threads(self) -> int:
        """Return the threads of a learner rank: the CPUs of its bundle, which no other process uses
        then."""
        return self._threads(self.bundles.learner)

    @property
    def engine_threads(self) -> int:
        """Return the threads of an engine, over all its ranks."""
        return self._threads(self.bundles.engine)

    @property
    def reward_threads(self) -> int:
        """Return the threads of a reward model's server."""
        return self._threads(self.bundles.reward)

    def _threads(self, bundles: list[int]) -> int:
        return max(1, int(min((self.bundles.resources[i]["CPU"] for i in bundles), default=1.0)))

    def learner_options(self, index: int) -> dict[str, Any]:
        """Return actor options of learner rank `index`."""
        return self._options(self.bundles.learner[index], self.gpus_per_learner, self._part)

    def engine_options(self, index: int) -> dict[str, Any]:
        """Return actor options of engine replica `index`."""
        return self._options(self.bundles.engine[index], self.gpus_per_engine, self._part)

    def reward_options(self, index: int) -> dict[str, Any]:
        """Return actor options of the reward model's server in reward bundle `index`."""
        return self._options(self.bundles.reward[index], self.gpus_per_reward, 1.0)

    @property
    def _part(self) -> float:
        """Return a learner rank's or an engine's part of its bundle."""
        return 0.5 if self.shared else 1.0

    def _options(self, bundle: int, num_gpus: int, part: float) -> dict[str, Any]:
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
    settings: ClusterSettings, gpus: Gpus, tensor_parallel: int = 1, reward_models: int = 0
) -> Bundles:
    """Return the bundles that a recipe needs.

    tensor_parallel: ranks of an engine, which on CPUs are processes of cpus_per_process each.
    reward_models: how many have servers, whose bundles come last, a model's side by side.
    """
    resources, learner, engine = _learners_and_engines(settings, gpus, tensor_parallel)
    number = settings.reward_servers * reward_models
    reward = list(range(len(resources), len(resources) + number))
    return Bundles(resources + [_bundle(settings, gpus.reward)] * number, learner, engine, reward)


def _learners_and_engines(
    settings: ClusterSettings, gpus: Gpus, tensor_parallel: int
) -> tuple[list[dict[str, float]], list[int], list[int]]:
    """Return resources by bundle, and the owner of each bundle."""
    ranks, replicas = settings.learner_ranks, settings.engine_replicas
    processes = 1 if gpus.engine else tensor_parallel
    if settings.placement == "shared":
        number, most = max(ranks, replicas), max(gpus.learner, gpus.engine)
        if most > 1:
            raise UserError(
                f"an engine over {gpus.engine} GPUs (engine.vllm.tensor_parallel_size) "
                "needs GPUs of its own; set "
                'cluster.placement = "separate".'
            )
        resources = [
            _bundle(settings, most, processes if i < replicas else 1) for i in range(number)
        ]
        return resources, list(range(ranks)), list(range(replicas))
    resources = [_bundle(settings, gpus.learner)] * ranks
    resources += [_bundle(settings, gpus.engine, processes)] * replicas
    return resources, list(range(ranks)), list(range(ranks, ranks + replicas))


def _bundle(settings: ClusterSettings, gpus: int, processes: int = 1) -> dict[str, float]:
    cpus = settings.cpus_per_process * processes
    return {"CPU": cpus, **({"GPU": float(gpus)} if gpus else {})}


def check_early(demands: Sequence[Demand]) -> None:
    """Compare a run's needs with its clusters before a model's libraries are imported. A cluster on
    this machine alone is not started for that.

    Raises UserError that names the part.
    """
    for address in dict.fromkeys(demand.settings.address for demand in demands):
        own = [demand for demand in demands if demand.settings.address == address]
        with _machines(own[0].settings) as machines:
            for demand in own:
                try:
                    _compare(demand.settings, demand.needs, machines)
                except UserError as error:
                    raise UserError(f"{demand.part}{error}") from None


@contextmanager
def _machines(settings: ClusterSettings) -> Iterator[Machines]:
    if is_local(settings.address):
        yield this_machine()
        return
    connect(settings)
    try:
        yield machines_of(ray.nodes(), False, CONNECT_S)
    finally:
        ray.shutdown()


@contextmanager
def placed(settings: ClusterSettings, needs: Needs) -> Iterator[Placement]:
    """Connect to the cluster and reserve the recipe's resources; release both at the end.

    Raises UserError.
    """
    local = connect(settings)
    try:
        machines = machines_of(ray.nodes(), local, CONNECT_S)
        bundles, gpus = _compare(settings, needs, machines)
        group = _reserve(bundles, settings.timeouts.start_s)
        try:
            yield Placement(group, bundles, settings.placement == "shared", *gpus)
        finally:
            remove_placement_group(group)
    finally:
        ray.shutdown()


def _compare(settings: ClusterSettings, needs: Needs, machines: Machines) -> tuple[Bundles, Gpus]:
    """Return the reservation if the machines have room. Raises UserError with the numbers."""
    check_devices(needs)
    there_are = any(resources.get("GPU") for resources in machines.resources)
    gpus = gpus_of(needs, there_are)
    check_gpu_setting(needs, gpus)
    reward_models = len(needs.reward_devices)
    bundles = plan_bundles(settings, gpus, needs.tensor_parallel, reward_models)
    check_resources(settings, bundles, machines.resources)
    check_versions(own_node(), machines.nodes, needs, gpus)
    if len(machines.nodes) == len(machines.resources):
        check_memory(settings, needs, gpus, machines.nodes)
    check_shared_gpu(settings, needs, gpus, machines.nodes)
    return bundles, gpus


def check_resources(
    settings: ClusterSettings, bundles: Bundles, nodes: Sequence[Mapping[str, float]]
) -> None:
    """Compare needed with available resources. Raises UserError with the numbers."""
    for kind in ("CPU", "GPU"):
        asked = sum(bundle.get(kind, 0.0) for bundle in bundles.resources)
        there = sum(node.get(kind, 0.0) for node in nodes)
        if asked > there:
            raise UserError(
                f"[cluster] asks for {asked:g} {kind}s ({_processes(settings, bundles)}), but the "
                f"cluster has {there:g}: {_remedy(settings, bundles, kind)}"
            )
        largest = max(bundle.get(kind, 0.0) for bundle in bundles.resources)
        if largest > max((node.get(kind, 0.0) for node in nodes), default=0.0):
            raise UserError(
                f"[cluster] asks for {largest:g} {kind}s on one node, but no node has as many."
            )
    for bundle in bundles.resources:
        number = sum(_times(other, bundle) > 0 for other in bundles.resources)
        room = sum(_times(node, bundle) for node in nodes)
        if number > room:
            what = " and ".join(f"{amount:g} {kind}s" for kind, amount in bundle.items())
            raise UserError(
                f"[cluster] asks for {number} times {what} ({_processes(settings, bundles)}), each "
                f"on one node, but the cluster's nodes have room for {room}: "
                f"{_remedy(settings, bundles, 'CPU')}"
            )


def _times(resources: Mapping[str, float], bundle: Mapping[str, float]) -> int:
    """Return how many such bundles fit into resources; Ray counts in ten-thousandths."""
    return min(int(resources.get(kind, 0.0) / amount + 1e-4) for kind, amount in bundle.items())


def _processes(settings: ClusterSettings, bundles: Bundles) -> str:
    ranks, replicas, servers = settings.learner_ranks, settings.engine_replicas, len(bundles.reward)
    told = [f"{ranks} learner ranks"] if ranks else []
    told += [f"{replicas} engine replicas"] if replicas else []
    told += [f"{servers} servers of reward models"] if servers else []
    return " and ".join(told) + (f", {settings.placement}" if ranks and replicas else "")


def _remedy(settings: ClusterSettings, bundles: Bundles, kind: str) -> str:
    asked = {
        "cluster.learner_ranks": settings.learner_ranks,
        "cluster.engine_replicas": settings.engine_replicas,
        "cluster.reward_servers": len(bundles.reward),
    }
    ways = ["lower " + " or ".join(name for name, number in asked.items() if number)]
    if kind == "GPU":
        ways.append('set learner.device and engine.device = "cpu"')
    if settings.placement == "separate" and settings.learner_ranks and settings.engine_replicas:
        ways.append('set cluster.placement = "shared"')
    if kind == "CPU":
        ways.append(f"lower cluster.cpus_per_process (now {settings.cpus_per_process:g})")
    return ", or ".join(ways) + "."


def _reserve(bundles: Bundles, timeout_s: float) -> Any:
    group = placement_group(bundles.resources, strategy="PACK")
    if not group.wait(timeout_s):
        remove_placement_group(group)
        free = {k: v for k, v in ray.available_resources().items() if k in ("CPU", "GPU")}
        raise UserError(
            f"the driver waited {timeout_s:g} s for the cluster to free {bundles.resources}; free "
            f"are {free}: other runs hold the rest, or no node has room for a whole one of these."
        )
    return group
