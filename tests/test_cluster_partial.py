"""Replicas on Ray that take new weights while responses are under way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("ray")

from r1.cluster.needs import Needs
from r1.cluster.ray_calls import Events
from r1.cluster.ray_partial import PartialRemoteEngine
from r1.cluster.ray_placement import placed
from r1.cluster.settings import ClusterSettings, TimeoutSettings
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.protocol import AbortedError
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.types import Completion
from run_processes import finish, kill_after
from small_models import make_model, save_small_model
from small_recipe import TWO_BY_TWO, write_recipe
from test_cluster_ray import requests, tokens
from test_engine_numerics import plain_logprobs
from test_loop_ahead import SECTIONS, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_buckets")]

CLUSTER = ClusterSettings(
    address="local",
    engine_replicas=2,
    cpus_per_process=0.5,
    timeouts=TimeoutSettings(start_s=120, generate_s=60, update_s=60, sync_s=60),
)
ENGINE = EngineSettings(device="cpu", max_batch=16)
SAMPLING = SamplingSettings(max_new_tokens=200)
ENDS = {"eos_token_id": [0]}


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[PartialRemoteEngine]:
    model = save_small_model(tmp_path_factory.mktemp("world") / "model", **ENDS)
    with placed(CLUSTER, Needs("cpu", "cpu")) as placement:
        engine = PartialRemoteEngine(str(model), ENGINE, CLUSTER, placement, Events())
        try:
            yield engine
        finally:
            engine.close()


def load(engine: PartialRemoteEngine, version: int) -> None:
    engine.load_weights(make_model("qwen2", seed=version % 3).named_parameters(), version)


def poll(engine: PartialRemoteEngine, num: int) -> dict[str, list[Completion]]:
    """At least `num` groups."""
    found: dict[str, list[Completion]] = {}
    end = time.monotonic() + 120
    while len(found) < num:
        assert time.monotonic() < end
        for request, completions in engine.poll():
            assert request.id not in found, "a group came twice"
            found[request.id] = completions
    return found


def test_tokens_before_and_after_new_weights_have_their_own_logprobs(engine) -> None:
    asked = requests(24)
    load(engine, 0)
    engine.submit(asked[:12], SAMPLING)
    found = poll(engine, 1)
    load(engine, 1)
    engine.submit(asked[12:], SAMPLING)
    found |= poll(engine, 12)
    load(engine, 2)
    found |= poll(engine, 24 - len(found))
    assert engine.poll() == []
    models = [make_model("qwen2", seed=seed) for seed in range(3)]
    spans = set()
    for request in asked:
        for completion in found[request.id]:
            expected = [
                plain_logprobs(model, request.prompt_ids, completion.token_ids) for model in models
            ]
            drawn = []
            for place, logprob in enumerate(completion.logprobs):
                fits = [v for v in range(3) if abs(float(expected[v][place]) - logprob) < 1e-3]
                last = drawn[-1] if drawn else completion.version
                drawn.append(min(v for v in fits if v >= last))
            assert drawn[0] == completion.version
            spans.add(tuple(sorted(set(drawn))))
    assert any(len(span) > 1 for span in spans), "no response spans two versions"


def test_submitted_samples_are_those_of_one_engine_and_survive_a_kill(engine) -> None:
    load(engine, 3)
    local = EmbeddedEngine.from_pretrained(engine.model, ENGINE)
    local.load_weights(make_model("qwen2").named_parameters(), 3)
    expected = {
        group.request.id: [(c.token_ids, c.version) for c in group.completions]
        for group in local.generate(requests(), SAMPLING)
    }
    engine.submit(requests(), SAMPLING)
    found = poll(engine, 2)
    os.kill(engine.replicas[1].process_id, signal.SIGKILL)
    found |= poll(engine, 12 - len(found))
    ours = {name: [(c.token_ids, c.version) for c in some] for name, some in found.items()}
    assert ours == expected
    assert engine.events.take()["pool/engine_restarts"] == 1
    # What a call of its own samples, as an evaluation does, is the same again.
    assert {r.id: tokens(c) for r, c in engine.generate(requests(), SAMPLING)} == {
        name: tokens(completions) for name, completions in found.items()
    }


def test_a_call_that_is_aborted_ends_at_once_and_the_next_is_whole(engine) -> None:
    load(engine, 3)
    stream = engine.generate(requests(), SAMPLING)
    first = next(stream)
    engine.abort()
    with pytest.raises(AbortedError):
        next(stream)
    again = {
        group.request.id: tokens(group.completions)
        for group in engine.generate(requests(), SAMPLING)
    }
    assert sorted(again) == sorted(request.id for request in requests())
    assert again[first.request.id] == tokens(first.completions)


def test_a_run_with_partial_rollouts_learns_and_carries_on(tmp_path) -> None:
    (tmp_path / "recipe").mkdir()
    sections = SECTIONS.replace("staleness = 1", "staleness = 2\npartial_rollouts = true")
    recipe = write_recipe(tmp_path / "recipe", "qwen2", 10, sections + TWO_BY_TWO)
    out = tmp_path / "run"
    kill_after(recipe, out, 6)
    finish(recipe, out)
    rows = rows_of(out)
    assert [row["step"] for row in rows] == list(range(10))
    assert all(row["staleness_max"] <= min(row["step"] % 4, 2) for row in rows)
    assert sum(row["reward"] for row in rows[-3:]) > sum(row["reward"] for row in rows[:3]) + 0.2
    evaluations = sorted((out / "evaluations").glob("*.json"))
    assert [json.loads(path.read_text())["step"] for path in evaluations] == [0, 3, 6, 9, 10]
