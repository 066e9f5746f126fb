"""`r1 run` of SFT, of DPO and of a reward model on Ray with a rank killed, against one process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import dpo_data
import reward_model_data
import sft_data
from r1.run_dir import find_checkpoint, read_evaluations, read_metrics, read_timings
from run_processes import finish, start

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow

TWO_RANKS = (
    "cluster.address=local", "cluster.learner_ranks=2", "cluster.cpus_per_process=0.5",
)  # fmt: skip
WRITERS = {
    "sft": sft_data.write_recipe,
    "reward_model": reward_model_data.write_recipe,
    "dpo": dpo_data.write_recipe,
}
BATCHES = {"sft": "[batch]\nsize = 4\nepochs = 2\n", "reward_model": "", "dpo": ""}


def kill_a_rank(driver, out: Path) -> None:
    """Once two steps are done."""
    file, end = out / "metrics.jsonl", time.monotonic() + 120
    while not (file.is_file() and len(file.read_text().splitlines()) >= 2):
        assert driver.poll() is None, "it ended too early"
        assert time.monotonic() < end, "it does not begin"
        time.sleep(0.02)
    for child in psutil.Process(driver.pid).children(recursive=True):
        if "ray::LearnerRank" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            return
    raise AssertionError("no rank is there")


@pytest.mark.parametrize("kind", WRITERS)
def test_ranks_of_which_one_dies_learn_what_one_process_learns(tmp_path, kind) -> None:
    sections = "[evaluation]\nevery = 3\n[checkpoints]\nevery = 3\n" + BATCHES[kind]
    recipe = WRITERS[kind](tmp_path, sections=sections)
    finish(recipe, tmp_path / "one")
    out = tmp_path / "many"
    driver = start(recipe, out, *(word for item in TWO_RANKS for word in ("--set", item)))
    kill_a_rank(driver, out)
    _, errors = driver.communicate(timeout=300)
    assert driver.returncode == 0, errors
    ours, theirs = read_metrics(out), read_metrics(tmp_path / "one")
    assert len(ours) == len(theirs) >= 6
    for one, other in zip(ours, theirs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)
    measured = [read_evaluations(run) for run in (out, tmp_path / "one")]
    for one, other in zip(*measured, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)
    assert sum(row.get("pool/learner_restarts", 0) for row in read_timings(out)) == 1
    assert (find_checkpoint(out) / "state" / ".metadata").is_file()
    # A run may come home: the ranks' last checkpoint is what one process would go on from.
    finish(recipe, out)
