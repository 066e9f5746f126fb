"""Offline work on Ray: one engine's bytes from two replicas, whoever is killed."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

pytest.importorskip("ray")

from r1.agents.ask import OpenConversation, Turn
from r1.benchmarks.running.measure import Options, run_benchmarks
from r1.benchmarks.table import read_table
from r1.cluster import offline
from r1.cluster.needs import Gpus
from r1.cluster.offline import open_replicas
from r1.cluster.ray_calls import ClusterError, LostProcess
from r1.cluster.ray_placement import check_resources, plan_bundles
from r1.cluster.settings import ClusterSettings, TimeoutSettings
from r1.errors import UserError
from r1.evaluation import blocks
from r1.evaluation.command import run_eval_command
from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.settings import EngineSettings
from r1.run_dir import RunDir
from small_models import save_small_model
from test_cluster_ray import SAMPLING, requests, tokens

CLUSTER = ClusterSettings(
    address="local",
    learner_ranks=4,
    engine_replicas=2,
    cpus_per_process=0.5,
    timeouts=TimeoutSettings(start_s=120, generate_s=60, sync_s=60),
)
ENGINE = EngineSettings(device="cpu", max_batch=4)
RECIPE = {
    "template": {"kind": "plain"},
    "sampling": {"max_new_tokens": 6},
    "evaluation": {"num_samples": 8, "temperature": 1.5, "top_p": 1.0},
    "rewards": {"weights": {"accuracy": 1.0}, "answer_from": "text"},
    "engine": {"device": "cpu"},
    "data": {
        "train": [{"kind": "jsonl", "path": "train.jsonl"}],
        "heldout": [{"kind": "jsonl", "path": "heldout.jsonl", "verifier": "exact"}],
    },
    "cluster": {"cpus_per_process": 0.5, "learner_ranks": 4},
}


SMALL_BLOCKS = """
from r1.cli import main
from r1.evaluation import blocks

blocks.BLOCK_SAMPLES = 24
main()
"""


def test_replicas_alone_need_no_room_for_a_learner() -> None:
    alone = CLUSTER.replicas_alone()
    bundles = plan_bundles(alone, Gpus(1, 1))
    assert bundles.resources == [{"CPU": 0.5, "GPU": 1.0}] * 2
    assert (bundles.learner, bundles.engine) == ([], [0, 1])
    check_resources(alone, bundles, [{"CPU": 1.0, "GPU": 2.0}])
    with pytest.raises(
        UserError, match=r"2 GPUs \(2 engine replicas\).*: lower cluster.engine_rep"
    ):
        check_resources(alone, bundles, [{"CPU": 1.0, "GPU": 1.0}])


@pytest.mark.slow
def test_a_killed_replica_loads_the_folder_again_and_no_group_is_lost(tmp_path) -> None:
    model = save_small_model(tmp_path / "model")
    local = EmbeddedEngine.from_pretrained(model, ENGINE)
    expected = {group.request.id: tokens(group.completions) for group in
                local.generate(requests(18), SAMPLING)}  # fmt: skip
    with open_replicas(model, ENGINE, CLUSTER) as pool:
        assert pool.num_parameters == local.num_parameters
        assert pool.capacity == 2 * ENGINE.max_batch
        first, second = pool._engines
        begun = pool.generate(requests(18), SAMPLING), pool.generate(requests(18), SAMPLING)
        os.kill(first.replicas[0].process_id, signal.SIGKILL)
        for asked in begun:
            found = {}
            for request, completions in asked:
                if len(found) == 7:
                    with suppress(ProcessLookupError):  # it may be starting again
                        os.kill(second.replicas[0].process_id, signal.SIGKILL)
                assert request.id not in found
                found[request.id] = tokens(completions)
            assert found == expected
        restarts = [e.events.take()["pool/engine_restarts"] for e in (first, second)]
        assert min(restarts) >= 1


class Starting:
    """A replica that starts, or does not."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.closed = error, False

    def serve_folder(self) -> None:
        if self.error is not None:
            raise self.error

    def model_size(self) -> int:
        return 7

    def close(self) -> None:
        self.closed = True


def test_a_replica_that_does_not_start_is_left_out(caplog) -> None:
    lost = ClusterError("replica 1 died. Again and again.")
    lost.__cause__ = LostProcess("replica 1 died")
    engines = [Starting(), Starting(lost), Starting()]
    assert offline._serving(engines) == ([engines[0], engines[2]], 7)
    assert [engine.closed for engine in engines] == [False, True, False]
    (record,) = caplog.records
    assert record.getMessage() == "replica 1 died; it is lost for good, and 2 other replicas work."
    with pytest.raises(UserError, match="no engine replica came up: replica 1 died"):
        offline._serving([Starting(lost), Starting(lost)])
    with pytest.raises(UserError, match="not a model"):
        offline._serving([Starting(lost), Starting(UserError("not a model"))])


@pytest.mark.slow
def test_a_replica_lost_for_good_leaves_its_groups_to_the_others(
    tmp_path, monkeypatch, caplog
) -> None:
    """One dies while it is asked for the model's size and comes back; later it is killed twice."""
    model = save_small_model(tmp_path / "model")
    local = EmbeddedEngine.from_pretrained(model, ENGINE)
    expected = {group.request.id: tokens(group.completions) for group in
                local.generate(requests(18), SAMPLING)}  # fmt: skip

    def dying(engine) -> int:
        engine.serve_folder()
        if engine.replicas[0].name == "engine replica 0":
            os.kill(engine.replicas[0].process_id, signal.SIGKILL)
        return engine.model_size()

    monkeypatch.setattr(offline, "_start", dying)
    cluster = CLUSTER.model_copy(update={"max_restarts": 1})
    with open_replicas(model, ENGINE, cluster) as pool:
        assert pool.num_parameters == local.num_parameters
        first, second = pool._engines
        assert first.events.take()["pool/engine_restarts"] == 1
        monkeypatch.setattr(first.replicas[0], "lost", 1)  # no progress since its first death
        begun = [pool.generate(requests(18), SAMPLING) for _ in range(2)]
        os.kill(first.replicas[0].process_id, signal.SIGKILL)
        for asked in begun:
            assert {group.request.id: tokens(group.completions) for group in asked} == expected
        said = [r.getMessage() for r in caplog.records if "lost for good" in r.getMessage()]
        assert len(said) == 1
        assert "engine replica 0" in said[0]
        monkeypatch.setattr(second.replicas[0], "lost", 1)
        asked = pool.generate(requests(18), SAMPLING)
        os.kill(second.replicas[0].process_id, signal.SIGKILL)
        with pytest.raises(UserError, match=r"every engine is lost: .*replica 1.*The same command"):
            list(asked)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A run with one checkpoint, and what one process measures of it."""
    folder = tmp_path_factory.mktemp("world")
    rows = [{"id": f"p{i}", "prompt": f"{i}+{i}=", "reference": str(2 * i)} for i in range(48)]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {**RECIPE, "base_folder": str(folder)}
    with RunDir.open(folder / "run", recipe, "grpo") as run:
        for step in run.remaining_steps(1):
            run.commit_step(step, save_small_model, {})
        run.finish()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1.evaluation.blocks.BLOCK_SAMPLES", 24)
        run_eval_command(str(folder / "run"), folder / "alone", Console(file=io.StringIO()))
    return folder


def files(out: Path) -> dict[str, bytes]:
    """Everything but the lock, which holds the process that had it last."""
    found = [path for path in out.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


@pytest.mark.slow
def test_r1_eval_on_replicas_carries_on_after_its_driver_was_killed(world, tmp_path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", SMALL_BLOCKS, "eval", str(world / "run"), "--out", str(out)]
    command += ["--cluster", "local", "--replicas", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.glob("blocks/block-*.parquet"))) < 2:
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {p.name: p.stat().st_mtime_ns for p in out.glob("blocks/block-*.parquet")}
    assert not (out / "evaluation.json").exists()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert files(out) == files(world / "alone")
    after = {p.name: p.stat().st_mtime_ns for p in out.glob("blocks/block-*.parquet")}
    assert len(after) == 16
    assert {name: after[name] for name in kept} == kept, "what was done stays"


@pytest.mark.slow
def test_benchmarks_on_replicas_give_one_engines_bytes(world, tmp_path, monkeypatch) -> None:
    """Two tables of questions, and one of two requests a question, in one call."""

    def talk(ask, problems, folder, model) -> dict:
        asked = [OpenConversation(p.id, (Turn("user", p.prompt),), 3) for p in problems]
        return {"score": None, "outcomes": {}, "answers": ask(asked)}

    monkeypatch.setattr(blocks, "BLOCK_SAMPLES", 8)
    chosen = []
    for name in ("sums", "words"):
        rows = [{"q": f"{name} {i}", "answer": str(i)} for i in range(6)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        table = (
            f'name = "{name}"\ndata = "{name}.jsonl"\nprompt = "{{q}}"\nverifier = "exact"\nk = 2'
        )
        (tmp_path / f"{name}.toml").write_text(table)
        chosen.append(read_table(tmp_path / f"{name}.toml"))
    chosen.append(dataclasses.replace(chosen[0], name="talk", converse=talk))
    options = Options(max_new_tokens=6, think=False)
    console = Console(file=io.StringIO())
    model = str(world / "run")
    alone = run_benchmarks(model, chosen, None, tmp_path / "alone", console, options)
    given = {"address": "local", "engine_replicas": 2, "cpus_per_process": 0.5}
    options = options._replace(cluster=given)
    assert run_benchmarks(model, chosen, None, tmp_path / "ray", console, options) == alone
    assert files(tmp_path / "ray" / "sums") == files(tmp_path / "alone" / "sums")
    far = options._replace(cluster={**given, "engine_replicas": 9, "cpus_per_process": 1e6})
    with pytest.raises(UserError, match=r"asks for .* CPUs \(9 engine replicas\), but"):
        run_benchmarks(model, chosen, None, tmp_path / "far", console, far)
    assert not (tmp_path / "far").exists()


@pytest.mark.slow
def test_r1_eval_says_what_a_cluster_lacks_before_it_writes(world, tmp_path) -> None:
    given = {"address": "local", "engine_replicas": 9, "cpus_per_process": 1e6}
    with pytest.raises(UserError, match=r"asks for 9e\+06 CPUs \(9 engine replicas\), but"):
        run_eval_command(
            str(world / "run"), tmp_path / "o", Console(file=io.StringIO()), cluster=given
        )
