"""`r1 run` on Ray against `r1 run` in one process; the driver killed; bad answers of a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from small_recipe import write_recipe
from test_resume import SECTIONS, story

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

CLUSTER = """
[cluster]
address = "local"
learner_ranks = 2
engine_replicas = 2
cpus_per_process = 0.5
"""


def start(recipe: Path, out: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "r1", "run", str(recipe), "--out", str(out), *more]
    paths = [str(recipe.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True
    )


def finish(recipe: Path, out: Path, *more: str) -> str:
    process = start(recipe, out, *more)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return errors


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").open()]


class Runs(NamedTuple):
    """The same recipe in one process and on Ray."""

    recipe: Path
    alone: Path
    spread: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "alone").mkdir()
    one = write_recipe(folder / "alone", "qwen2", num_steps=10, sections=SECTIONS)
    many = one.with_name("spread.toml")
    many.write_text(one.read_text() + CLUSTER)
    finish(one, folder / "one")
    finish(many, folder / "many")
    return Runs(many, folder / "one", folder / "many")


def test_ten_steps_give_the_same_samples_and_losses(runs) -> None:
    names = sorted(path.name for path in (runs.alone / "rollouts").iterdir())
    assert len(names) == 10
    for name in names:
        ours, theirs = (pq.read_table(run / "rollouts" / name) for run in (runs.spread, runs.alone))
        assert ours.equals(theirs), name
    for ours, theirs in zip(metrics(runs.spread), metrics(runs.alone), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["reward"] == theirs["reward"]
        assert theirs["grad_norm"] > 0
    for path in sorted((runs.alone / "evaluations").glob("*.json")):
        assert json.loads((runs.spread / "evaluations" / path.name).read_text()) == json.loads(
            path.read_text()
        )


def test_a_killed_driver_carries_on_to_the_same_bytes(runs, tmp_path) -> None:
    out = tmp_path / "run"
    for steps in (3, 6):
        process = start(runs.recipe, out)
        while process.poll() is None:
            file = out / "metrics.jsonl"
            if file.is_file() and len(file.read_text().splitlines()) >= steps:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(runs.recipe, out)
    expected = story(runs.spread)
    assert {"metrics.jsonl", "checkpoints/step-000010/model.safetensors"} <= set(expected)
    seal = "checkpoint.json"  # holds the hash of .metadata, in which torch writes a random id
    assert {k: v for k, v in story(out).items() if Path(k).name not in (seal, "lineage.json")} == {
        k: v for k, v in expected.items() if Path(k).name not in (seal, "lineage.json")
    }
