"""What a recipe asks of a cluster, and what is said where it cannot have it; Ray is not started."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from r1.cluster.needs import Demand, Gpus, Needs, gpus_of
from r1.cluster.settings import ClusterSettings, TimeoutSettings
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe

TINY = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"


WITHOUT_RAY = """
import sys
from pathlib import Path
import r1.pipeline.run, r1.r1_zero.workers as workers
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe

path = Path(sys.argv[1])
with workers.place(load_any_recipe(path), "tiny") as placement:
    assert placement is None
assert "ray" not in sys.modules
sys.modules["ray"] = None
try:
    workers.place(load_any_recipe(path, ["cluster.address=local"]), "tiny")
except UserError as error:
    print(error)
"""


@pytest.mark.slow
def test_only_a_cluster_imports_ray_and_names_its_extra_where_it_is_missing() -> None:
    command = [sys.executable, "-c", WITHOUT_RAY, str(TINY)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "pip install -e '.[cluster]'" in done.stdout, done.stderr


def test_settings_come_from_the_recipe_and_the_command() -> None:
    recipe = load_any_recipe(TINY, ["cluster.learner_ranks=2", "cluster.timeouts.sync_s=5"])
    assert recipe.cluster == ClusterSettings(learner_ranks=2, timeouts=TimeoutSettings(sync_s=5.0))
    assert load_any_recipe(TINY).cluster is None
    with pytest.raises(UserError, match="learner_ranks"):
        load_any_recipe(TINY, ["cluster.learner_rank=2"])


ray_placement = None
try:
    import ray  # noqa: F401

    from r1.cluster import ray_placement
    from r1.cluster.ray_weights import pack, unpack
except ImportError:
    pass
needs_ray = pytest.mark.skipif(ray_placement is None, reason="Ray is not installed")


@needs_ray
def test_shared_bundles_overlap_and_separate_ones_do_not() -> None:
    shared = ray_placement.plan_bundles(
        ClusterSettings(learner_ranks=2, engine_replicas=3), Gpus(1, 1)
    )
    assert shared.resources == [{"CPU": 1.0, "GPU": 1.0}] * 3
    assert (shared.learner, shared.engine) == ([0, 1], [0, 1, 2])
    settings = ClusterSettings(learner_ranks=2, engine_replicas=3, placement="separate")
    separate = ray_placement.plan_bundles(settings, Gpus(1, 2))
    assert [bundle["GPU"] for bundle in separate.resources] == [1, 1, 2, 2, 2]
    assert (separate.learner, separate.engine) == ([0, 1], [2, 3, 4])
    with pytest.raises(UserError, match="separate"):
        ray_placement.plan_bundles(ClusterSettings(), Gpus(1, 2))


@needs_ray
@pytest.mark.parametrize(
    ("changes", "gpus", "nodes", "message"),
    [
        ({"learner_ranks": 4}, 0, [{"CPU": 2.0}], r"asks for 4 CPUs .*has 2: lower"),
        ({"learner_ranks": 2}, 1, [{"CPU": 8.0}], r"asks for 2 GPUs .*has 0"),
        ({"learner_ranks": 8}, 1, [{"CPU": 64.0, "GPU": 4.0}], r"asks for 8 GPUs .*has 4"),
        ({"cpus_per_process": 6.0}, 0, [{"CPU": 4.0}] * 2, "asks for 6 CPUs on one node"),
        ({"learner_ranks": 2}, 0, [], r"asks for 2 CPUs .*has 0"),
        (
            {"learner_ranks": 3, "cpus_per_process": 3.0},
            0,
            [{"CPU": 5.0}] * 2,
            r"asks for 3 times 3 CPUs \(.*\), each on one node, .* room for 2: lower",
        ),
        (
            {"learner_ranks": 8},
            1,
            [{"CPU": 4.0, "GPU": 8.0}, {"CPU": 64.0}],
            "asks for 8 times 1 CPUs and 1 GPUs .* room for 4: lower",
        ),
    ],
)
def test_too_little_is_refused_with_the_numbers(changes, gpus, nodes, message) -> None:
    settings = ClusterSettings(**changes)
    bundles = ray_placement.plan_bundles(settings, Gpus(gpus, gpus))
    with pytest.raises(UserError, match=message):
        ray_placement.check_resources(settings, bundles, nodes)


@needs_ray
def test_reward_models_have_servers_in_bundles_of_their_own() -> None:
    settings = ClusterSettings(learner_ranks=2, engine_replicas=2, reward_servers=2)
    needs = Needs("cuda", "cuda", reward_devices=("cuda", "cpu"))
    gpus = gpus_of(needs, there_are=True)
    assert gpus == (1, 1, 1)
    bundles = ray_placement.plan_bundles(settings, gpus, 1, len(needs.reward_devices))
    assert bundles.reward == [2, 3, 4, 5]
    assert bundles.resources == [{"CPU": 1.0, "GPU": 1.0}] * 6
    told = (
        r"6 GPUs \(2 learner ranks and 2 engine replicas and 4 servers of reward models, shared\)"
    )
    remedy = r".* lower cluster.learner_ranks or .* or cluster.reward_servers"
    with pytest.raises(UserError, match=told + remedy):
        ray_placement.check_resources(settings, bundles, [{"CPU": 64.0, "GPU": 4.0}])
    assert gpus_of(needs._replace(engine_device="cpu"), there_are=True).engine == 0
    assert gpus_of(needs._replace(reward_devices=("cpu",)), there_are=True).reward == 0


@needs_ray
def test_enough_is_enough() -> None:
    settings = ClusterSettings(learner_ranks=8, engine_replicas=4)
    nodes = [{"CPU": 4.0, "GPU": 4.0}] * 2
    ray_placement.check_resources(settings, ray_placement.plan_bundles(settings, Gpus(1, 1)), nodes)


@needs_ray
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:{free}", "nobody answers there"),
        ("no-such-host.invalid:6379", "nobody answers there"),
        ("here", 'is not "auto", "local" or HOST:PORT'),
        ("ray://127.0.0.1:10001", "ray:// is not supported"),
    ],
)
def test_a_wrong_address_is_named_within_ten_seconds(address, message) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        free = unused.getsockname()[1]
    refused(address.format(free=free), message)


@pytest.mark.slow
@needs_ray
def test_a_port_that_is_not_rays_is_told_within_ten_seconds() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        refused(f"127.0.0.1:{server.getsockname()[1]}", "somebody listens, but Ray does not answer")


def refused(address: str, message: str) -> None:
    settings = ClusterSettings(address=address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1.cluster.ray_connect.CONNECT_S", 2.0)
        with (
            pytest.raises(UserError, match=message),
            ray_placement.placed(settings, Needs("cpu", "cpu")),
        ):
            raise AssertionError("there is no such cluster")
        with pytest.raises(UserError, match=message):
            ray_placement.check_early([Demand("", settings, Needs("cpu", "cpu"))])


@needs_ray
@pytest.mark.parametrize(
    ("settings", "needs", "message"),
    [
        ({"learner_ranks": 999}, Needs("cpu", "cpu"), r"^stage dev1: .* asks for 999 CPUs"),
        ({}, Needs("cuda", "cpu"), r"asks for 1 GPUs .* the cluster has 0: .* set learner\.device"),
        ({}, Needs("cpu", "cuda"), r"asks for 1 GPUs"),
        ({}, Needs("cpu", "cpu", learner_bytes=1e15), r"learner rank's weights .* need 9\.31e\+05"),
        ({}, Needs("cpu", "cpu"), None),
    ],
)
def test_this_machine_is_compared_without_starting_ray(
    settings, needs, message, monkeypatch
) -> None:
    """A machine of two CPUs, no GPU; what has no message fits."""
    monkeypatch.setattr(ray_placement, "connect", lambda _: pytest.fail("Ray was started"))
    demand = Demand("stage dev1: ", ClusterSettings(address="local", **settings), needs)
    machines = ray_placement.this_machine()
    if not machines.resources[0].get("GPU") or "GPU" not in (message or ""):
        expected = nullcontext() if message is None else pytest.raises(UserError, match=message)
        with expected:
            ray_placement.check_early([demand])


@needs_ray
def test_buckets_keep_every_dtype_and_size() -> None:
    weights = [
        ("scalar", torch.tensor(3.5)),
        ("half", torch.randn(7, 3).to(torch.bfloat16)),
        ("odd", torch.randn(11, dtype=torch.float16)),
        ("long", torch.arange(5)),
        ("large", torch.randn(40, 50)),
        ("double", torch.randn(3, dtype=torch.float64)),
        ("transposed", torch.randn(4, 6).T),
    ]
    for max_bytes in (1, 64, 10_000_000):
        buckets = list(pack(iter(weights), 7, max_bytes))
        assert {bucket.version for bucket in buckets} == {7}
        assert len(buckets) == {1: 7, 10_000_000: 1}.get(max_bytes, len(buckets))
        back = list(unpack(buckets))
        assert [name for name, _ in back] == [name for name, _ in weights]
        for (_, left), (_, right) in zip(weights, back, strict=True):
            assert left.dtype == right.dtype
            assert torch.equal(left, right)
