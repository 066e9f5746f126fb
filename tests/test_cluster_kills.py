"""Random kills of engines, ranks and the driver over one run, which ends where it would have."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kills import num_kills
from run_processes import finish, start
from run_story import story
from small_recipe import TWO_BY_TWO, VARIED, write_recipe

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow

NUM_KILLS = num_kills(4)
# Which file holds torch's random id of a distributed checkpoint, and the hashes over it.
RANDOM = {"checkpoint.json", "lineage.json"}
KINDS = {
    "driver": "",
    "engine": "ray::EngineReplica",  # Ray's title of a process names its class
    "learner": "ray::LearnerRank",
    "reward worker": "r1.rewards.worker",
}


def workers(driver: subprocess.Popen, kind: str) -> list[int]:
    """Ids of the driver's own processes of a kind."""
    found = []
    for child in psutil.Process(driver.pid).children(recursive=True):
        try:
            if KINDS[kind] in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def num_steps(out: Path) -> int:
    file = out / "metrics.jsonl"
    return len(file.read_text().splitlines()) if file.is_file() else 0


def numbers(out: Path) -> dict[str, str]:
    return {name: value for name, value in story(out).items() if Path(name).name not in RANDOM}


def test_random_kills_change_no_byte(tmp_path) -> None:
    """R1_TEST_KILLS=50 for the long version; a kill is due whenever another step is done."""
    (tmp_path / "recipe").mkdir()
    sections = VARIED + TWO_BY_TWO + "max_restarts = 20\n"
    total = NUM_KILLS + NUM_KILLS // 5 + 4  # two steps may be done between two kills
    recipe = write_recipe(tmp_path / "recipe", "qwen2", total, sections)
    finish(recipe, tmp_path / "straight")
    rng, out, kills = random.Random(NUM_KILLS), tmp_path / "killed", {}
    each = rng.sample(list(KINDS), len(KINDS))  # first each kind once
    driver = start(recipe, out)
    while sum(kills.values()) < NUM_KILLS and driver.poll() is None:
        before, kind = num_steps(out), next((k for k in each if k not in kills), None)
        kind = kind or rng.choice(each)
        end = time.monotonic() + 120
        while driver.poll() is None and num_steps(out) <= before and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.5))
        if driver.poll() is not None:
            break
        if kind == "driver":
            driver.send_signal(signal.SIGKILL)
            driver.communicate()
            driver = start(recipe, out)
        else:
            ids = workers(driver, kind)
            if not ids:
                continue
            os.kill(rng.choice(ids), signal.SIGKILL)
        kills[kind] = kills.get(kind, 0) + 1
        print(f"killed so far: {kills}", flush=True)
    _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 0, errors
    assert sum(kills.values()) == NUM_KILLS, kills
    assert numbers(out) == numbers(tmp_path / "straight")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").open()]
    assert [row["step"] for row in rows] == list(range(total))
