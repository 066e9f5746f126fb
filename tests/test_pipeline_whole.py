"""The paper's recipe, stage by stage: three architectures, kills at random, `--from`, lineage."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from kills import num_kills
from small_pipeline import write_pipeline

NUM_KILLS = num_kills(4)
EVALUATION = """
model = "model"
num_steps = 1
[[data.train]]
path = "data.jsonl"
[[data.heldout]]
kind = "tiny"
split = "heldout"
num = 48
[template]
kind = "plain"
[sampling]
max_new_tokens = 6
[evaluation]
num_samples = 64
"""


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
    """The hash of every stage's outputs, weights and data files; or of an evaluation's files."""
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
    for path in sorted((*out.glob("blocks/*"), *out.glob("evaluation.json"))):
        found[str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
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


def kill_often(command: list[str], env: Mapping[str, str], out: Path, wanted: int) -> int:
    """Kill a command at random moments, `wanted` times in all, ending it whole again and again.

    Each time that it comes to its end, what it made is compared with an undisturbed one's, and it
    begins anew. Every other moment counts from the first change of the folder, however long the
    program takes to start: those kills meet the work. Only processes that died of the kill count;
    returns how often their folder had changed since they began.
    """
    began = time.monotonic()
    finish([*command, "--out", str(out / "whole")], env)
    whole_s, rng, hits, at_work = time.monotonic() - began, random.Random(wanted), 0, 0
    ends, often = 0, min(1.0, 20 / wanted)  # many kills: closer together, not for hours
    killed = out / "killed"
    while hits < wanted:
        before = contents(killed)
        with (out / "stderr").open("wb") as said:
            process = subprocess.Popen(
                [*command, "--out", str(killed)], env=env,
                stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
            )  # fmt: skip
        in_the_work, changed = hits % 2 == 1, False
        while in_the_work and not changed and process.poll() is None:
            time.sleep(0.02)
            changed = contents(killed) != before
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.0, (0.2 if in_the_work else 0.6) * often * whole_s))
        with contextlib.suppress(ProcessLookupError):  # all of it, workers too, has ended
            os.killpg(process.pid, signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            hits += 1
            # What an earlier kill left may be replaced by its like: only `changed` saw that.
            at_work += changed or contents(killed) != before
        else:
            assert process.returncode == 0, (out / "stderr").read_text()
            assert made(killed) == made(out / "whole")
            shutil.rmtree(killed)
            ends += 1
        # Seen with `pytest -s`.
        taken_s = time.monotonic() - began
        print(
            f"{hits}/{wanted} kills, {at_work} at work, {ends} whole, {taken_s:.0f} s", flush=True
        )
    finish([*command, "--out", str(killed)], env)
    assert made(killed) == made(out / "whole")
    return at_work


def contents(folder: Path) -> set[tuple[str, int]]:
    """Every file below a folder that another process may be writing, and its size."""
    found = set()
    for place, _, names in os.walk(folder):  # which, unlike rglob, forgives folders that go away
        for name in names:
            with contextlib.suppress(OSError):
                path = os.path.join(place, name)
                found.add((path, os.stat(path).st_size))
    return found


def finish(command: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path) -> None:
    """R1_TEST_KILLS=100 and `pytest -s`, which shows each kill, for the long version."""
    recipe = write_pipeline(tmp_path, "qwen2")
    command = [sys.executable, "-m", "r1", "run", str(recipe)]
    assert kill_often(command, environment(recipe), tmp_path, NUM_KILLS) >= NUM_KILLS // 2


@pytest.mark.slow
def test_an_evaluation_killed_at_random_moments_ends_in_the_same_bytes(tmp_path) -> None:
    """Over several blocks. R1_TEST_KILLS=100 for the long version."""
    write_pipeline(tmp_path, "qwen2")
    recipe = tmp_path / "evaluation.toml"
    recipe.write_text(EVALUATION)
    command = [sys.executable, "-m", "r1", "eval", str(tmp_path / "model"), "--recipe", str(recipe)]
    assert kill_often(command, environment(recipe), tmp_path, NUM_KILLS) >= NUM_KILLS // 2
    assert len(list((tmp_path / "whole" / "blocks").glob("*.parquet"))) == 3


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
