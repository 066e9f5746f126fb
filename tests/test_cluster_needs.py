"""What a recipe needs against what nodes have: pure functions, and bad clusters by the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import r1
from r1.cluster.needs import (
    GIB,
    Gpus,
    Needs,
    NodeResources,
    check_devices,
    check_gpu_setting,
    check_memory,
    check_shared_gpu,
    check_versions,
    demand_of,
    engine_needs,
    gpus_of,
    needs_of,
)
from r1.cluster.settings import ClusterSettings
from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe

SOURCE = Path(r1.__file__).parent
TINY = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"
VERSIONS = (("r1", "1"), ("torch", "2"), ("transformers", "5"), ("vllm", "0.32.0"))
VLLM = Needs(tensor_parallel=4, vllm_share=0.9)


def test_needs_come_from_the_recipe_and_the_config() -> None:
    """The tiny base has 0.9 M parameters; AdamW in fp32 has 16 bytes for each, a reference 4."""
    changes = ["cluster.learner_ranks=2", "grpo.kl_weight=0.0", 'engine.dtype="bfloat16"']
    recipe = load_any_recipe(TINY, changes)
    needs = needs_of(recipe, "tiny")
    parameters = needs.engine_bytes / 2
    assert 0.8e6 < parameters < 1e6
    assert needs.learner_bytes == 16 * parameters / 2
    with_reference = load_any_recipe(TINY, [*changes, "grpo.kl_weight=0.1"])
    assert needs_of(with_reference, "tiny").learner_bytes == 20 * parameters / 2
    unknown = needs_of(recipe, "nobody/knows")
    assert (unknown.learner_bytes, unknown.engine_bytes) == (0, 0)
    more = ['engine.kind="vllm"', "engine.vllm.tensor_parallel_size=2"]
    vllm = needs_of(load_any_recipe(TINY, [*changes, *more]), "tiny")
    assert (vllm.tensor_parallel, vllm.vllm_share, vllm.vllm) == (2, 0.9, True)
    assert not needs.vllm


def test_an_engine_has_a_gpu_for_every_rank() -> None:
    assert gpus_of(VLLM, there_are=True) == Gpus(1, 4)
    assert gpus_of(VLLM, there_are=False) == Gpus(0, 0)
    on_cpu = Needs("cpu", "cpu", tensor_parallel=4, vllm_share=0.9)
    assert gpus_of(on_cpu, there_are=True) == Gpus(0, 0)
    assert gpus_of(Needs("cuda:0", "auto"), there_are=False) == Gpus(1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learner_device": "cuda:1"}, r'learner\.device = "cuda:1": on a cluster Ray chooses'),
        ({"engine_device": "cuda:3"}, r"engine\.device = "),
        ({"reward_devices": ("cuda:0", "cuda:2")}, "reward_models: device = "),
        ({"learner_device": "cuda:0", "engine_device": "cuda"}, None),
    ],
)
def test_a_process_sees_no_gpu_but_its_own(changes, message) -> None:
    if message is None:
        check_devices(Needs(**changes))
        return
    with pytest.raises(UserError, match=message):
        check_devices(Needs(**changes))


def test_what_asks_for_a_gpu_is_refused_where_engines_have_none() -> None:
    """Before an engine's process says so, long after the run's folder was made."""
    for change, message in (("sleep=true", r"vllm\.sleep"), ('transfer="ipc"', 'transfer = "ipc"')):
        recipe = load_any_recipe(TINY, ['engine.kind="vllm"', f"engine.vllm.{change}"])
        needs = engine_needs(recipe.engine, "tiny")
        with pytest.raises(UserError, match=f"{message} needs a GPU"):
            check_gpu_setting(needs, Gpus(1, 0))
        check_gpu_setting(needs, Gpus(1, 1))
    check_gpu_setting(Needs(vllm_share=0.9), Gpus(0, 0))


def test_nccl_has_no_gpu_to_send_from_on_a_cluster() -> None:
    changes = ['engine.kind="vllm"', 'engine.vllm.transfer="nccl"', "cluster.learner_ranks=2"]
    with pytest.raises(UserError, match=r'"nccl" sends from .* with \[cluster\]'):
        demand_of(load_any_recipe(TINY, changes), TINY.parent)
    demand_of(load_any_recipe(TINY, [changes[0], changes[2]]), TINY.parent)


def node(memory: float = 0.0, *gpus: float, **versions: str) -> NodeResources:
    found = tuple(sorted((dict(VERSIONS) | versions).items()))
    return NodeResources("10.0.0.7", memory * GIB, tuple(g * GIB for g in gpus), found)


@pytest.mark.parametrize(
    ("share", "learner", "gpus", "message"),
    [
        (0.9, 24, [80, 40], r"needs 24 GiB and vLLM takes 90% .* of 40 GiB .* below 0\.40"),
        (0.5, 24, [40], r"takes 50%.*below 0\.40"),
        (0.3, 24, [40], None),
        (0.9, 0, [], None),
        (1.0, 0, [], r'takes 100%.*placement = "separate"'),
        (0.2, 41, [40], 'they share: or set|they share: set cluster.placement = "separate"'),
    ],
)
def test_a_shared_gpu_has_room_for_both(share, learner, gpus, message) -> None:
    needs = Needs(vllm_share=share, learner_bytes=learner * GIB)
    nodes = [node(100.0, *gpus)]
    if message is None:
        check_shared_gpu(ClusterSettings(), needs, Gpus(1, 1), nodes)
        return
    with pytest.raises(UserError, match=message):
        check_shared_gpu(ClusterSettings(), needs, Gpus(1, 1), nodes)
    check_shared_gpu(ClusterSettings(placement="separate"), needs, Gpus(1, 1), nodes)
    check_shared_gpu(ClusterSettings(), needs, Gpus(0, 0), nodes)


@pytest.mark.parametrize(
    ("learner", "engine", "gpus", "nodes", "message"),
    [
        (90, 1, Gpus(1, 1), [node(500.0, 80, 80)], "learner rank's .* 90 GiB .* has 80 GiB"),
        (60, 400, Gpus(1, 4), [node(500.0, 80)], "engine's weights need 100 GiB on each of 4 GPU"),
        (60, 300, Gpus(1, 4), [node(500.0, 80)], None),
        (60, 1, Gpus(0, 0), [node(50.0)] * 9, "learner rank's .* 60 GiB .* largest node has 50"),
        (10, 60, Gpus(0, 0), [node(50.0)] * 9, "engine's weights need 60 GiB .* has 50 GiB"),
        (20, 20, Gpus(0, 0), [node(50.0), node(20.0)], "need 80 GiB of memory, .* have 70 GiB"),
        (20, 20, Gpus(0, 0), [node(50.0), node(40.0)], None),
        (900, 900, Gpus(0, 0), [node(0.0)], None),
    ],
)
def test_what_cannot_fit_is_refused(learner, engine, gpus, nodes, message) -> None:
    settings = ClusterSettings(learner_ranks=2, engine_replicas=2)
    needs = Needs(learner_bytes=learner * GIB, engine_bytes=engine * GIB)
    if message is None:
        check_memory(settings, needs, gpus, nodes)
        return
    with pytest.raises(UserError, match=message):
        check_memory(settings, needs, gpus, nodes)


@pytest.mark.parametrize(
    ("versions", "gpus", "message"),
    [
        ({"r1": "2"}, Gpus(0, 0), "10.0.0.7 has r1 2, and the driver has r1 1"),
        ({"torch": "1"}, Gpus(0, 0), "10.0.0.7 has torch 1, and the driver has torch 2"),
        ({"vllm": "0.31.1"}, Gpus(0, 0), "vLLM 0.32, and 0.31.1 is installed on node 10.0.0.7"),
        ({"vllm": ""}, Gpus(0, 0), "vLLM is not installed on node 10.0.0.7"),
        ({"vllm": ""}, Gpus(1, 4), None),  # a node without GPUs has no engine
        ({}, Gpus(0, 0), None),
    ],
)
def test_nodes_hold_what_the_driver_holds(versions, gpus, message) -> None:
    own, other = node(), node(1.0, **versions)
    if message is None:
        check_versions(own, [other], VLLM, gpus)
        return
    with pytest.raises(UserError, match=message):
        check_versions(own, [own, other], VLLM, gpus)
    without = NodeResources("x", 1.0)
    with pytest.raises(UserError, match="node x has r1 none"):
        check_versions(own, [without], Needs(), Gpus(0, 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (['learner.device="cuda"'], "asks for 2 GPUs .* has 0: .*learner.device"),
        (["cluster.learner_ranks=1"], r"rank's weights and optimiser need .* largest node has"),
        (
            ['engine.kind="vllm"', "engine.vllm.tensor_parallel_size=3"],
            "tensor_parallel_size = 3 does not divide the model's \\d+ attention heads",
        ),
    ],
)
def test_a_bad_cluster_is_told_before_anything_is_written(tmp_path, changes, message) -> None:
    pytest.importorskip("ray")
    from r1.pipeline.run import run_recipe

    model = tmp_path / "model"
    shutil.copytree(MODELS["tiny"], model)
    if changes == ["cluster.learner_ranks=1"]:
        file = model / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"intermediate_size": 2**30}))
    more = [f'model="{model}"', 'cluster.address="local"', "cluster.learner_ranks=2"]
    recipe = load_any_recipe(TINY, [*more, *changes])
    with pytest.raises(UserError, match=message):
        run_recipe(recipe, tmp_path, tmp_path / "run", None)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPUs, where the driver is."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield nodes
    nodes.shutdown()


@pytest.mark.slow
def test_other_versions_are_named(cluster, tmp_path) -> None:
    """A node whose r1 is another, then a cluster whose Ray is."""
    from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
    from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
    from ray._raylet import GcsClient

    from r1.cluster.ray_placement import placed

    shutil.copytree(SOURCE, tmp_path / "r1", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "r1" / "errors.py").write_text("class UserError(ValueError): pass\n")
    cluster.add_node(num_cpus=2, env_vars={"PYTHONPATH": str(tmp_path)})
    settings = ClusterSettings(address=cluster.address)
    message = r"node \S+ has r1 \(source \w+\), and the driver has r1 \(source"
    refused(placed, settings, message)
    client = GcsClient(address=cluster.address)
    place = (CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER)
    true = client.internal_kv_get(*place)
    false = json.dumps({"ray_version": "2.1.0", "python_version": "3.9.1"}).encode()
    client.internal_kv_put(place[0], false, True, place[1])
    refused(placed, settings, r"Ray: 2\.1\.0 Python: 3\.9\.1 .* Ray: 2\.\d+\.\d+ Python: 3")
    client.internal_kv_put(place[0], true, True, place[1])


def refused(placed: Any, settings: ClusterSettings, message: str) -> None:
    with pytest.raises(UserError, match=message), placed(settings, Needs("cpu", "cpu")):
        raise AssertionError("it has other versions")
