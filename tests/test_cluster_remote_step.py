"""What the driver keeps of its ranks and makes of their answers, how a rank begins, which cluster
"auto" means, and which one is shown a token; who shares a GPU gives its memory back. Ray is not
started."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray")

import ray
import torch
from ray.exceptions import ObjectLostError, RayTaskError

from r1.cluster import ray_connect
from r1.cluster.carried import carry
from r1.cluster.ray_calls import Call, LostProcess, answer
from r1.cluster.ray_engine import EngineReplica, RemoteEngine
from r1.cluster.ray_learner import LearnerRank, RemoteLearner
from r1.cluster.settings import ClusterSettings
from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.r1_zero.workers import open_workers
from r1.rollout.settings import SamplingSettings


class _Lock:
    """A lock that notes the learner's step whenever it is let go."""

    def __init__(self, learner: Any) -> None:
        self.learner, self.lock, self.seen = learner, threading.Lock(), []

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *error: object) -> None:
        self.seen.append(self.learner.step)
        self.lock.release()


class _Events:
    def take(self) -> dict[str, float]:
        return {}


def test_whoever_takes_the_lock_finds_the_step_that_the_ranks_are_at() -> None:
    learner = RemoteLearner.__new__(RemoteLearner)
    learner.step, learner.ranks, learner._batches = 3, [object()], {}
    learner.events = _Events()  # type: ignore[assignment]
    lock = _Lock(learner)
    learner._one_at_a_time = lock  # type: ignore[assignment]
    learner.cluster = type("Cluster", (), {"max_restarts": 0})()  # type: ignore[assignment]
    learner._update = lambda batch: {"loss": 1.0}  # type: ignore[method-assign]
    learner._gather = lambda: []  # type: ignore[method-assign]
    assert learner.update("batch") == {"loss": 1.0}
    assert learner.weights().version == 4  # type: ignore[attr-defined]
    assert lock.seen == [4, 4]


def test_ranks_lost_before_the_first_checkpoint_is_whole_learn_from_the_beginning(
    tmp_path, monkeypatch
) -> None:
    learnt: list[Any] = []
    monkeypatch.setattr(RemoteLearner, "_start", lambda self: None)
    monkeypatch.setattr(RemoteLearner, "_update", lambda self, batch: learnt.append(batch) or {})
    monkeypatch.setattr(RemoteLearner, "_ask", lambda *args: [None])
    nothing: Any = None
    learner = RemoteLearner(nothing, ClusterSettings(), nothing, _Events(), lambda: None)  # type: ignore[arg-type]
    learner.ranks = [object()]
    for batch in ("first", "second"):
        learner.update(batch)
    learner.save(tmp_path)
    learnt.clear()
    learner._revive()
    assert learnt == ["first", "second"]


def test_what_was_lost_with_a_node_is_a_lost_process_to_whoever_was_to_take_it(monkeypatch) -> None:
    def get(reference: Any, timeout: float | None) -> None:
        raise RayTaskError("load_weights", "", ObjectLostError("12" * 28, "", ""))

    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(LostProcess, match=r"engine replica 0 could not take weights: .*object"):
        answer(Call("engine replica 0", object()), "take weights")


@pytest.mark.parametrize(
    "full",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_a_lack_of_memory_is_told_and_not_repeated(full, monkeypatch) -> None:
    """On a CPU PyTorch has no class of its own for it."""

    def get(reference: Any, timeout: float | None) -> None:
        raise RayTaskError("update", "", full)

    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(type(full), match="memory"):
        answer(Call("learner rank 0", object()), "update")
    full = RuntimeError("Connection closed by peer")
    with pytest.raises(LostProcess, match="closed by peer"):
        answer(Call("learner rank 0", object()), "update")


def test_a_rank_on_a_gpu_takes_the_one_that_ray_gave_it(monkeypatch) -> None:
    """torch.cuda.set_device refuses a device without an index."""
    chosen: list[int] = []

    class JoinedError(Exception):
        pass

    def join(*args: object, **settings: object) -> None:
        raise JoinedError

    device = SimpleNamespace(resolve_device=torch.device)
    monkeypatch.setitem(sys.modules, "r1.models.device", device)
    index = torch.cuda._utils._get_device_index
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(index(device)))
    monkeypatch.setattr(torch.distributed, "init_process_group", join)
    rank = LearnerRank(carry(SimpleNamespace(settings=SimpleNamespace(device="cuda"))), 1)
    rank.store = object()
    with pytest.raises(JoinedError):
        rank.join(("", 0), 0, 1, 1.0)
    assert chosen == [0]


class _Working:
    """A learner and an engine that note what they do."""

    step = 3

    def __init__(self, did: list[str]) -> None:
        self.did = did

    def update(self, batch: str) -> dict[str, float]:
        self.did.append(batch)
        return {}

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        self.did.append("gather")
        yield "weight", torch.ones(1)

    def save(self, folder: Path) -> None:
        self.did.append("save")

    def load(self, folder: Path) -> None:
        self.did.append("load")

    def load_weights(self, weights: Any, version: int) -> None:
        self.did.append("take")

    def generate(self, requests: Any, sampling: Any) -> Iterator[str]:
        self.did.append("sample")
        yield "group"


@pytest.mark.parametrize("shared", [True, False])
def test_whoever_shares_a_gpu_gives_back_what_pytorch_keeps(shared, monkeypatch) -> None:
    """The peak of an update would stay taken while the engine samples, and the other way round."""
    did: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: did.append("return"))
    rank = LearnerRank(None, 1, shared)  # type: ignore[arg-type]
    rank.learner = _Working(did)
    assert rank.update("update") == {}
    assert [bucket.version for bucket in rank.send_weights(100)] == [3]
    rank.help_to_send()
    rank.save(Path())
    assert rank.load(Path()) == 3
    replica = EngineReplica()
    replica.engine, replica.shares_gpu = _Working(did), shared  # type: ignore[assignment]
    replica.load_weights(0)
    assert list(replica.generate([], SamplingSettings(), 0)) == ["group"]
    work = ["update", "gather", "gather", "save", "load", "take", "sample"]
    assert did == [what for each in work for what in (each, "return")[: 1 + shared]]


@pytest.mark.parametrize(
    ("shared", "gpus", "kind", "waits"),
    [(True, 1, "vllm", True), (False, 1, "vllm", False), (True, 0, "vllm", False),
     (True, 1, "embedded", False)],
)  # fmt: skip
def test_vllm_has_started_before_a_learner_comes_to_its_gpu(
    shared, gpus, kind, waits, monkeypatch
) -> None:
    """What another process allocates while vLLM measures the GPU is missing in vLLM's cache."""
    did: list[str] = []

    class Engine(RemoteEngine):
        def _start(self, replica: Any) -> None:
            replica.started = "loading"

        def close(self) -> None:
            did.append("close")

    def wait(references: list[Any], num_returns: int, timeout: float) -> None:
        assert (references, num_returns, timeout) == (["loading"] * 2, 2, 600.0)
        did.append("engines have started")

    def learner(*_: Any) -> Any:
        return did.append("ranks") or SimpleNamespace(close=lambda: did.append("close"))

    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr("r1.cluster.ray_engine.RemoteEngine", Engine)
    monkeypatch.setattr("r1.cluster.ray_learner.RemoteLearner", learner)
    path = Path(__file__).parents[1] / "recipes" / "tiny" / "r1_zero.toml"
    recipe = load_any_recipe(path, [f'engine.kind="{kind}"', "cluster.engine_replicas=2"])
    placement: Any = SimpleNamespace(shared=shared, gpus_per_engine=gpus)
    run: Any = SimpleNamespace(newest_checkpoint=None)
    with open_workers(recipe, str(MODELS["tiny"]), None, placement, run):
        assert did == ["engines have started", "ranks"][1 - waits :]


@pytest.mark.parametrize(
    ("answers", "found", "mode"),
    [((0,), 0, None), ((ray_connect._ASKS, 0), 0, "token"), ((1,), 1, None)],
)
def test_a_token_is_shown_to_a_cluster_that_asks_for_it_and_to_no_other(
    answers, found, mode, monkeypatch
) -> None:
    """A driver in token mode refuses the workers of a cluster that has none."""
    there = iter(answers)
    monkeypatch.setenv("RAY_AUTH_MODE", "restored afterwards")
    monkeypatch.delenv("RAY_AUTH_MODE")
    loader = SimpleNamespace(has_token=lambda ignore_auth_mode: True)
    monkeypatch.setattr(
        ray._raylet, "AuthenticationTokenLoader", SimpleNamespace(instance=lambda: loader)
    )
    monkeypatch.setattr(ray._raylet, "Config", SimpleNamespace(initialize=lambda text: None))
    monkeypatch.setattr(ray_connect, "_probe", lambda address, timeout_s: next(there))
    assert ray_connect._probe_with_token("HOST:1", 1.0) == found
    assert os.environ.get("RAY_AUTH_MODE") == mode


@pytest.fixture
def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def started(monkeypatch) -> list[str]:
    """The addresses that Ray is told, which is not started."""
    told: list[str] = []
    monkeypatch.setattr(ray, "init", lambda address, **_: told.append(address))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return told


def test_a_cluster_that_is_gone_is_not_waited_for(
    closed_port, started, monkeypatch, caplog
) -> None:
    """Ray's note of it outlives a crash or a job's time limit; Ray itself waits for minutes, and
    then ends the process."""
    monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda _: closed_port)
    assert ray_connect.is_local("auto")
    assert ray_connect.connect(ClusterSettings())
    assert started == ["local"]
    assert f"({closed_port}) is gone" in caplog.text
    monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda _: None)
    caplog.clear()
    assert ray_connect.connect(ClusterSettings())
    assert not caplog.text


def test_a_wrong_address_of_the_environment_is_named(closed_port, started, monkeypatch) -> None:
    """The user asked for that cluster: another one in its place would be a surprise."""
    for address, message in ((closed_port, "nobody answers"), ("ray://h:1", "not supported")):
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert not ray_connect.is_local("auto")
        with pytest.raises(UserError, match=f"RAY_ADDRESS = '{address}': .*{message}"):
            ray_connect.connect(ClusterSettings())
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert ray_connect.connect(ClusterSettings())
    assert started == ["local"]


def test_auto_joins_the_cluster_that_listens(started, monkeypatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr("ray._private.services.find_bootstrap_address", lambda _: address)
        monkeypatch.setattr(ray_connect, "_probe", lambda address, timeout_s: 1)
        told = f"noted on this machine, '{address}': somebody listens, but Ray does not answer"
        with pytest.raises(UserError, match=told):
            ray_connect.connect(ClusterSettings())
        monkeypatch.setattr(ray_connect, "_probe", lambda address, timeout_s: 0)
        assert not ray_connect.connect(ClusterSettings())
    assert started == [address]
