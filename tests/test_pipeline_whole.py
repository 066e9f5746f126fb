"""The paper's recipe, stage by stage: three architectures, kills at random, `--from`, lineage."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from small_pipeline import write_pipeline


def command(recipe: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "r1", "run", str(recipe), "--out", str(out), *options]


def environment(recipe: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(recipe.parent),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
    }


def run(recipe: Path, out: Path, *options: str) -> str:
    done = subprocess.run(
        command(recipe, out, *options),
        env=environment(recipe), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def made(out: Path) -> dict[str, str]:
    """The hash of every stage's outputs, and of every weight and data file in it."""
    found = {}
    for marker in sorted(out.glob("*/STAGE.json")):
        stage = marker.parent
        if ".old-" in stage.name:
            continue
        for name, output in json.loads(marker.read_text())["outputs"].items():
            if output["type"] != "results":  # an evaluation holds its own seconds
                found[f"{stage.name}/{name}"] = output["sha256"]
        for path in sorted(stage.rglob("*")):
            if path.suffix in (".safetensors", ".parquet") and "old" not in path.name:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[str(path.relative_to(out))] = digest
    return found


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["qwen2", "llama", "deepseek_v3"])
def test_every_stage_runs_on_every_architecture(tmp_path, architecture) -> None:
    recipe, out = write_pipeline(tmp_path, architecture), tmp_path / "out"
    run(recipe, out)
    stages = json.loads((out / "pipeline.json").read_text())["stages"]
    assert len(stages) == 10
    for stage in stages:
        marker = json.loads((out / stage["name"] / "STAGE.json").read_text())
        assert set(marker["outputs"]) == set(stage["outputs"])
    rows = json.loads((out / "readable" / "card.json").read_text())["total"]["samples"]
    assert rows >= 3
    mixed = json.loads((out / "mixture" / "card.json").read_text())["total"]["samples"]
    assert mixed == rows + 12
    checkpoint = json.loads((out / "r1" / "STAGE.json").read_text())["outputs"]["checkpoint"]
    model = AutoModelForCausalLM.from_pretrained(out / "r1" / checkpoint["path"])
    assert model.config.model_type == architecture
    figures = json.loads((out / "eval_r1" / "evaluation.json").read_text())
    assert figures["general"]["num_problems"] == 4


@pytest.mark.slow
def test_killed_at_twenty_random_moments_it_ends_in_the_same_bytes(tmp_path) -> None:
    recipe = write_pipeline(tmp_path, "qwen2")
    began = time.monotonic()
    run(recipe, tmp_path / "whole")
    whole_s = time.monotonic() - began
    rng, out, hits = random.Random(0), tmp_path / "killed", 0
    while hits < 20:
        process = subprocess.Popen(
            command(recipe, out), env=environment(recipe),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        time.sleep(rng.uniform(0.5, whole_s / 3))
        if process.poll() is None:
            hits += 1
        elif process.returncode == 0:
            break  # the run is whole: the rest of the kills would hit nothing
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert hits >= 5
    run(recipe, out)
    assert made(out) == made(tmp_path / "whole")


@pytest.mark.slow
def test_from_does_a_stage_and_all_below_it_again_and_nothing_else(tmp_path) -> None:
    recipe, out = write_pipeline(tmp_path, "qwen2"), tmp_path / "out"
    run(recipe, out)
    before, stamps = made(out), _stamps(out)
    run(recipe, out, "--from", "mixture")
    assert made(out) == before
    again = {name for name, stamp in _stamps(out).items() if stamp != stamps[name]}
    assert again == {"mixture", "dev3", "r1", "eval_r1"}
    assert (out / "mixture.old-1" / "STAGE.json").exists()
    assert "Nothing to do" in run(recipe, out, "--dry-run")
    plan = run(recipe, out, "--dry-run", "--set", "stages.dev3.batch.size=2")
    stale = {line.split()[0] for line in plan.splitlines() if "stale" in line}
    assert stale == {"dev3", "r1", "eval_r1"}
    traced = subprocess.run(
        [sys.executable, "-m", "r1", "lineage", str(out / "r1")],
        env=environment(recipe), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in ("dev3", "mixture", "readable", "zero", "supplied", "helpful", "seeds: run 0"):
        assert name in traced, traced
    assert "dev2" not in traced


def _stamps(out: Path) -> dict[str, int]:
    return {
        path.parent.name: path.stat().st_mtime_ns
        for path in out.glob("*/STAGE.json")
        if ".old-" not in path.parent.name
    }
