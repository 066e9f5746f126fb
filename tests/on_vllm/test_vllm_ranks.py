"""vLLM over two ranks of a CPU: in one process, and as Ray's replica, with new weights meanwhile.

Queries, keys and values, gate and up, embeddings and head are cut over the ranks, so an update that
came wrong to one of them shows in every log-probability.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
import torch
from test_vllm_engine import BASE, base, check_greedy, disturbed, forward_logprobs

from r1.cluster.offspring import processes_of
from r1.rollout.make import make_engine
from r1.rollout.settings import EngineSettings, SamplingSettings, VllmSettings
from r1.types import Completion, GroupRequest
from small_models import make_model, save_small_model

pytestmark = pytest.mark.vllm
ENGINE = EngineSettings(
    kind="vllm",
    dtype="float32",
    max_batch=16,
    vllm=VllmSettings(tensor_parallel_size=2, kv_cache_gib=0.25),
)
PROMPTS = tuple(tuple(range(2 + i, 45 + 3 * i)) for i in range(6))
UNTIED = {
    "tie_word_embeddings": False,
    "eos_token_id": [0],
    "hidden_size": 128,
    "head_dim": 32,  # the least of the CPU backend
}


def test_greedy_before_and_after_weight_updates_in_one_process() -> None:
    engine = make_engine(BASE, ENGINE)
    try:
        before = check_greedy(engine, base())
        engine.load_weights(disturbed(0.3).named_parameters(), 1)
        assert check_greedy(engine, disturbed(0.3)) != before
    finally:
        engine.close()


@pytest.fixture(scope="module")
def replica(tmp_path_factory) -> Iterator:
    """One replica of two ranks that takes new weights while it samples."""
    pytest.importorskip("ray")
    from r1.cluster.needs import Needs
    from r1.cluster.ray_calls import Events
    from r1.cluster.ray_partial import PartialRemoteEngine
    from r1.cluster.ray_placement import placed
    from r1.cluster.settings import ClusterSettings

    cluster = ClusterSettings(address="local", cpus_per_process=1)
    model = save_small_model(tmp_path_factory.mktemp("ranks") / "model", **UNTIED)
    with placed(cluster, Needs("cpu", "cpu", tensor_parallel=2)) as placement:
        assert placement.bundles.resources == [{"CPU": 2.0}]
        engine = PartialRemoteEngine(str(model), ENGINE, cluster, placement, Events())
        try:
            yield engine
        finally:
            engine.close()


def weights_of(version: int):
    return make_model("qwen2", seed=version, **UNTIED)


def asked(word: str, samples: int) -> list[GroupRequest]:
    return [
        GroupRequest(f"{word}{i}", prompt, tuple(100 * i + s for s in range(samples)))
        for i, prompt in enumerate(PROMPTS)
    ]


def poll(engine, num: int) -> dict[str, list[Completion]]:
    found: dict[str, list[Completion]] = {}
    end = time.monotonic() + 200
    while len(found) < num:
        assert time.monotonic() < end
        found |= {group.request.id: group.completions for group in engine.poll()}
    return found


def gaps(version: int, prompt, completion: Completion) -> torch.Tensor:
    """|engine's - transformers'| log-probability under a version's weights: [T]."""
    expected_T = forward_logprobs(weights_of(version), prompt, completion.token_ids)
    return (expected_T - torch.tensor(completion.logprobs)).abs()


def test_a_replica_of_two_ranks_spans_weights_and_survives_a_kill(replica) -> None:
    replica.load_weights(weights_of(0).named_parameters(), 0)
    sampling = SamplingSettings(max_new_tokens=150)
    replica.submit(asked("old", 2), sampling)
    found = poll(replica, 1)
    replica.load_weights(weights_of(1).named_parameters(), 1)
    found |= poll(replica, len(PROMPTS) - len(found))
    spanning = 0
    for request in asked("old", 2):
        for completion in found[request.id]:
            old_T, new_T = (gaps(v, request.prompt_ids, completion) for v in (0, 1))
            change = int((old_T < 1e-3).long().cumprod(0).sum())
            assert (new_T[change:] < 1e-3).all(), request.id
            assert completion.version == 0
            spanning += 0 < change < len(old_T)
    assert spanning > 0

    replica.submit(asked("new", 2), sampling)
    victims = processes_of(f"{replica.name}-0.")
    ranks = [p for p in victims if "VLLM::Worker_TP" in " ".join(psutil.Process(p).cmdline())]
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    found = poll(replica, len(PROMPTS))
    assert replica.events.take()["pool/engine_restarts"] == 1
    for request in asked("new", 2):
        for completion in found[request.id]:
            assert completion.version == 1
            assert gaps(1, request.prompt_ids, completion).max() < 1e-3
    assert not set(victims) & set(psutil.pids()), "something of the first life is left"
