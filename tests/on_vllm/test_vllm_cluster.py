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
    "grpo.group_size=4",
    "sampling.max_new_tokens=40",
    "data.heldout=[]",
    "evaluation.every=0",
    "cluster.engine_replicas=2",
    "cluster.cpus_per_process=1",
)


def replicas(driver: subprocess.Popen) -> list[int]:
    children = psutil.Process(driver.pid).children(recursive=True)
    return [p.pid for p in children if "ray::EngineReplica" in " ".join(p.cmdline())]


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


def test_a_killed_replica_comes_back_and_nothing_is_left(tmp_path: Path) -> None:
    out, before = tmp_path / "run", set(Path("/dev/shm").iterdir())
    settings = [word for change in SMALL for word in ("--set", change)]
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
    assert [row["engine_gap_max"] < 1e-4 for row in rows] == [True] * 3
    assert sum(row["grad_norm"] for row in rows) > 0.0
    timings = [json.loads(line) for line in (out / "timings.jsonl").read_text().splitlines()]
    assert sum(row.get("pool/engine_restarts", 0.0) for row in timings) >= 1
    assert gone(owned(second), 15)
    end = time.monotonic() + 15
    while processes_of("r1-") and time.monotonic() < end:
        time.sleep(0.1)
    assert processes_of("r1-") == []
    time.sleep(1.0)  # the guards' last act
    left = {p.name for p in set(Path("/dev/shm").iterdir()) - before}
    assert not [name for name in left if name.startswith(("r1-weights", "psm_"))]
