"""vLLM's engines in Ray's replicas: a run whose replica is killed leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1.cluster.offspring import VARIABLE, processes_of

psutil = pytest.importorskip("psutil")
pytest.importorskip("ray")
pytestmark = pytest.mark.vllm
RECIPE = Path(__file__).parents[2] / "recipes/tiny/r1_zero.toml"
SMALL = (
    'engine.kind="vllm"',
    'engine.dtype="float32"',
    "engine.vllm.kv_cache_gib=0.25",
    "engine.vllm.max_model_len=256",
    "num_steps=3",
    "optimizer.lr=1e-3",  # other weights would give other log-probabilities by far
    "grpo.num_problems=4",
    "grpo.group_size=8",
    "sampling.max_new_tokens=80",
    "data.heldout=[]",
    "evaluation.every=0",
    "cluster.engine_replicas=2",
    "cluster.cpus_per_process=0.5",
)
PARTIAL = (
    "grpo.staleness=1",
    "grpo.partial_rollouts=true",
    "grpo.importance_cap=2.0",
    'cluster.placement="separate"',
)


def replicas(driver: subprocess.Popen) -> list[int]:
    children = psutil.Process(driver.pid).children(recursive=True)
    names = ("ray::EngineReplica", "ray::PartialReplica")
    return [p.pid for p in children if " ".join(p.cmdline()).startswith(names)]


def owned(process_id: int) -> list[int]:
    """vLLM's processes of one replica."""
    found = []
    for candidate in processes_of("r1-"):
        environment = psutil.Process(candidate).environ()
        if environment[VARIABLE].split(".")[1] == str(process_id):
            found.append(candidate)
    return found


def gone(process_ids: list[int], within_s: float) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not any(psutil.pid_exists(one) for one in process_ids):
            return True
        time.sleep(0.1)
    return False


def nothing_is_left(before: set[Path]) -> bool:
    """Whether vLLM's processes and their shared memory are gone, within some seconds."""
    end = time.monotonic() + 15
    while processes_of("r1-") and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1.0)  # the guards' last act
    left = {p.name for p in set(Path("/dev/shm").iterdir()) - before}
    return not processes_of("r1-") and not [n for n in left if n.startswith(("r1-weights", "psm_"))]


@pytest.mark.parametrize("more", [(), PARTIAL], ids=["synchronous", "partial"])
def test_a_killed_replica_comes_back_and_nothing_is_left(tmp_path: Path, more) -> None:
    out, before = tmp_path / "run", set(Path("/dev/shm").iterdir())
    settings = [word for change in (*SMALL, *more) for word in ("--set", change)]
    command = [sys.executable, "-m", "r1", "run", str(RECIPE), "--out", str(out)]
    driver = subprocess.Popen(
        [*command, "--cluster", "local", *settings], stderr=subprocess.PIPE, text=True
    )
    metrics, end = out / "metrics.jsonl", time.monotonic() + 500
    while not (metrics.is_file() and metrics.read_text()):
        assert driver.poll() is None, driver.stderr.read()
        assert time.monotonic() < end, "no step within 500 s"
        time.sleep(0.1)
    first, second = replicas(driver)
    victims = owned(first)
    assert victims, "vLLM has processes of its own"
    os.kill(first, signal.SIGKILL)
    assert gone(victims, 15), "a replica's death ends its vLLM"
    _, errors = driver.communicate(timeout=500)
    assert driver.returncode == 0, errors
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert min(row["grad_norm"] for row in rows) > 0.0
    assert rows[0]["engine_gap_max"] < 1e-4
    if more:
        assert max(row["staleness_max"] for row in rows) == 1
        assert max(row["engine_gap_max"] for row in rows) > 1e-3, "older weights drew some tokens"
    else:
        assert max(row["engine_gap_max"] for row in rows) < 1e-4
    timings = [json.loads(line) for line in (out / "timings.jsonl").read_text().splitlines()]
    assert sum(row.get("pool/engine_restarts", 0.0) for row in timings) >= 1
    assert gone(owned(second), 15)
    assert nothing_is_left(before)
