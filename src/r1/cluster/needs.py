"""Compare a recipe's needs with the nodes of a cluster (torch-free, ray-free).

Counted from the recipe and the model's config.json: GPUs of an engine (vLLM's tensor parallel), the
bytes that a learner rank holds all the time (its share of weights, moments, reference, and of the
gradients in an update), an engine's weights, vLLM's share of a GPU, and the servers of reward
models. Only clearly impossible recipes are refused; `r1 plan` covers activations and the embedded
engine's key/value caches.

Left out on purpose: models whose dimensions `r1.plan.model` does not know (nothing is refused), the
memory of reward models, and what other programs hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1.cluster.settings import ClusterSettings
from r1.errors import UserError
from r1.plan.memory import engine_bytes, learner_memory
from r1.plan.model import ModelShape, UnknownModelError, shape_of
from r1.rollout.settings import EngineSettings
from r1.rollout.vllm_checks import (
    check_heads,
    check_transfer,
    check_vllm_version,
    gpu_setting,
)

GIB = 2**30


class Needs(NamedTuple):
    """Needs of one learner rank and of one engine; unknown bytes are 0.

    tensor_parallel: GPUs of a vLLM engine, or ranks on CPUs. vllm_share: what vLLM takes of each of
    its GPUs, 0 for the embedded engine. learner_bytes: held all the time, or at an update's end.
    engine_bytes: weights of the whole engine. reward_devices: the device of each reward model that
    has servers. gpu_setting: a setting of vLLM's that asks for a GPU, empty without one.
    """

    learner_device: str = "auto"
    engine_device: str = "auto"
    tensor_parallel: int = 1
    vllm_share: float = 0.0
    learner_bytes: float = 0.0
    engine_bytes: float = 0.0
    reward_devices: tuple[str, ...] = ()
    gpu_setting: str = ""

    @property
    def vllm(self) -> bool:
        """Whether the engines are vLLM's."""
        return self.vllm_share > 0


class Demand(NamedTuple):
    """The needs of one part of a run. part: "stage dev2: ", or empty for a whole run; it begins
    messages."""

    part: str
    settings: ClusterSettings
    needs: Needs


class Gpus(NamedTuple):
    """GPUs of a learner rank, of an engine replica, and of a reward model's server."""

    learner: int
    engine: int
    reward: int = 0


class NodeResources(NamedTuple):
    """A node: bytes of memory and of each GPU, and versions by name; empty if unknown."""

    name: str
    memory: float = 0.0
    gpus: tuple[float, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()


def needs_of(recipe: Any, model: str, base_folder: Path = Path()) -> Needs:
    """Return the needs of a recipe that trains.

    model: a shipped base, a folder (from the working folder or base_folder) or a hub id.
    """
    engine = getattr(recipe, "engine", None)
    needs = (
        Needs(engine_device="cpu") if engine is None else engine_needs(engine, model, base_folder)
    )
    rewarding = getattr(recipe, "reward_models", {}).values()
    served = rewarding if recipe.cluster and recipe.cluster.reward_servers else ()
    needs = needs._replace(
        learner_device=recipe.learner.device, reward_devices=tuple(use.device for use in served)
    )
    shape = _shape_of(model, base_folder)
    if shape is None:
        return needs
    ranks = recipe.cluster.learner_ranks if recipe.cluster else 1
    named = getattr(getattr(recipe, "algorithm", None), "teacher_model", None)
    teacher = _shape_of(named, base_folder) if named else None
    items = learner_memory(recipe, shape, ranks, teacher=teacher).items
    kept = [i for i in items if i.phase == "resident" or (i.part, i.phase) == ("gradients", "step")]
    return needs._replace(learner_bytes=sum(item.bytes for item in kept))


def demand_of(recipe: Any, base_folder: Path, part: str = "", model: str = "") -> Demand:
    """Return the needs of a training recipe on its [cluster]. model: recipe.model unless that is a
    reference. Raises UserError for needs that no cluster can meet."""
    settings = recipe.cluster
    if not hasattr(recipe, "engine"):
        settings = settings.ranks_alone()
    elif recipe.engine.kind == "vllm":
        check_transfer(recipe.engine.vllm, on_cluster=True)
    return Demand(part, settings, needs_of(recipe, model or recipe.model, base_folder))


def engine_needs(engine: EngineSettings, model: str, base_folder: Path = Path()) -> Needs:
    """Return the needs of engines alone. Raises UserError if the model's heads cannot be divided
    over a vLLM engine's ranks."""
    vllm, shape = engine.kind == "vllm", _shape_of(model, base_folder)
    ranks = engine.vllm.tensor_parallel_size if vllm else 1
    if shape is not None:
        check_heads(shape.heads, shape.kv_heads, ranks)
    return Needs(
        learner_device="cpu",
        engine_device=engine.device,
        tensor_parallel=ranks,
        vllm_share=engine.vllm.gpu_memory_utilization if vllm else 0.0,
        engine_bytes=0 if shape is None else engine_bytes(engine, shape) * shape.parameters,
        gpu_setting=gpu_setting(engine.vllm) if vllm else "",
    )


def _shape_of(model: str, base_folder: Path) -> ModelShape | None:
    try:
        return shape_of(model, base_folder)
    except UnknownModelError:
        return None


def check_devices(needs: Needs) -> None:
    """Raise UserError for a device such as "cuda:1": Ray shows a process the GPUs that it reserved
    for it and no others, counted from 0."""
    named = [("learner.device", needs.learner_device), ("engine.device", needs.engine_device)]
    named += [("reward_models: device", device) for device in needs.reward_devices]
    for setting, device in named:
        if device.startswith("cuda:") and device != "cuda:0":
            raise UserError(
                f'{setting} = "{device}": on a cluster Ray chooses the GPU of a process, which '
                'sees no other; set it to "cuda" or "auto"'
            )


def check_gpu_setting(needs: Needs, gpus: Gpus) -> None:
    """Raise UserError for a setting of vLLM's that asks for a GPU where engines have none."""
    if needs.gpu_setting and not gpus.engine:
        raise UserError(
            f"{needs.gpu_setting} needs a GPU, and the cluster has none for its engines: leave it "
            "out"
        )


def gpus_of(needs: Needs, there_are: bool) -> Gpus:
    """Return GPUs per process; there_are: whether the cluster has any."""
    learner = _gpus(needs.learner_device, 1, there_are)
    engine = _gpus(needs.engine_device, needs.tensor_parallel, there_are)
    reward = [_gpus(device, 1, there_are) for device in needs.reward_devices]
    return Gpus(learner, engine, max(reward, default=0))


def _gpus(device: str, number: int, there_are: bool) -> int:
    """Return the GPUs of a process on a device."""
    if device.startswith("cuda"):  # asked for by name: where there is none, that is said
        return number
    return number if there_are and device != "cpu" else 0


def check_shared_gpu(
    settings: ClusterSettings, needs: Needs, gpus: Gpus, nodes: Sequence[NodeResources]
) -> None:
    """Raise UserError for a vLLM engine that leaves the learner no memory on their shared GPU.

    A learner keeps its weights and moments on the GPU while vLLM samples, asleep or not. Where the
    GPU's memory or the model is not known, only the whole of a GPU is refused.
    """
    if settings.placement != "shared" or not (needs.vllm and gpus.learner and gpus.engine):
        return
    smallest = min((size for node in nodes for size in node.gpus), default=0.0)
    wanted = needs.learner_bytes / smallest if smallest else 0.0
    if needs.vllm_share + wanted < 1.0:
        return
    most = max(0.0, 1.0 - wanted)
    lower = f"lower engine.vllm.gpu_memory_utilization below {most:.2f}, " if most > 0.05 else ""
    raise UserError(
        f"a learner rank needs {_gib(needs.learner_bytes)} and vLLM takes "
        f"{needs.vllm_share:.0%} (engine.vllm.gpu_memory_utilization) of the GPU of "
        f'{_gib(smallest)} that they share: {lower}or set cluster.placement = "separate".'
    )


def check_memory(
    settings: ClusterSettings, needs: Needs, gpus: Gpus, nodes: Sequence[NodeResources]
) -> None:
    """Raise UserError if weights and optimiser cannot fit the cluster's memory."""
    learners, engines = settings.learner_ranks, settings.engine_replicas
    wanted = (
        ("a learner rank", learners, needs.learner_bytes, gpus.learner, "weights and optimiser"),
        ("an engine", engines, needs.engine_bytes, gpus.engine, "weights"),
    )
    largest_gpu = max((size for node in nodes for size in node.gpus), default=0.0)
    for who, _, need, num_gpus, what in wanted:
        if num_gpus and largest_gpu and need / num_gpus > largest_gpu:
            raise UserError(
                f"{who}'s {what} need {_gib(need / num_gpus)} on each of {num_gpus} GPU, but the "
                f"largest GPU of the cluster has {_gib(largest_gpu)}: {_more(who)}"
            )
    if not nodes or not all(node.memory for node in nodes):
        return
    largest, total = max(n.memory for n in nodes), sum(n.memory for n in nodes)
    for who, _, need, num_gpus, what in wanted:
        if not num_gpus and need > largest:
            raise UserError(
                f"{who}'s {what} need {_gib(need)} of memory, but the largest node "
                f"has {_gib(largest)}: {_more(who)}"
            )
    need = sum(number * each for _, number, each, num_gpus, _ in wanted if not num_gpus)
    if need > total:
        raise UserError(
            f"{learners} learner ranks ({_gib(needs.learner_bytes)} of weights and optimiser each) "
            f"and {engines} engine replicas ({_gib(needs.engine_bytes)} of weights each) need "
            f"{_gib(need)} of memory, but the cluster's nodes have {_gib(total)}: add nodes, lower "
            "cluster.engine_replicas, or take a smaller model."
        )


def _more(who: str) -> str:
    if who == "an engine":
        return "raise engine.vllm.tensor_parallel_size (vLLM), or take a smaller model."
    return "raise cluster.learner_ranks, or take a smaller model."


def check_versions(
    own: NodeResources, nodes: Sequence[NodeResources], needs: Needs, gpus: Gpus
) -> None:
    """Raise UserError for nodes whose r1, torch or transformers is missing or differs from the
    driver's; for vLLM's engines also for nodes without vLLM (without GPUs too, if engines use
    GPUs)."""
    expected = dict(own.versions)
    for node in nodes:
        found = dict(node.versions)
        for name in ("r1", "torch", "transformers"):
            theirs, ours = found.get(name, "none"), expected.get(name, "none")
            if theirs != ours:
                raise UserError(
                    f"node {node.name} has {name} {theirs}, and the driver has {name} {ours}: "
                    "install the same on every node."
                )
        if needs.vllm and (node.gpus or not gpus.engine):
            check_vllm_version(found.get("vllm", ""), f"on node {node.name}")


def _gib(size: float) -> str:
    return f"{size / GIB:.3g} GiB" if size else "unknown size"
