"""`r1 reproduce` from claim to page on a few steps of the tiny world; killed, it ends the same."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kills import num_kills
from r1.claims.command import reproduce_command
from r1.cli import app
from small_recipe import write_jsonl
from test_claims import CLAIM as SHORT_CLAIM

NUM_KILLS = num_kills(3)
PRELOAD = ["torch", "transformers", "r1.r1_zero.run", "r1.rewards.pool", "r1.claims.command"]
ZERO = """
model = "tiny"
num_steps = 3
data.train = [{ path = "train.jsonl" }]
data.heldout = [{ path = "heldout.jsonl" }]
sampling.max_new_tokens = 24
grpo = { num_problems = 2, group_size = 2, kl_weight = 0.0 }
evaluation = { num_samples = 2, every = 2 }
checkpoints = { every = 1, keep = 1 }
rewards.num_workers = 1
"""
CLAIM = (
    SHORT_CLAIM.replace('title = "a"', 'title = "A steeper <rate> learns faster"').replace(
        '"Steep"', '"Steep & fast"'
    )
    + """
measure = "area"
[[compare]]
says = "a steeper rate needs no more memory"
arm = "steep"
than = "plain"
measure = "state_bytes"
expect = "no_more"
margin = 1
"""
)


def write_claim(folder: Path) -> Path:
    """Problems whose verifier is quick to start, in files beside the claim."""
    (folder / "zero.toml").write_text(ZERO)
    for name, first in (("train", 0), ("heldout", 20)):
        rows = [
            {"id": f"p{i}", "prompt": f"{i} + 1 = ?", "reference": str(i + 1), "verifier": "exact"}
            for i in range(first, first + 6)
        ]
        write_jsonl(folder / f"{name}.jsonl", rows)
    (folder / "mine.toml").write_text(CLAIM)
    return folder / "mine.toml"


def test_a_user_s_claim_is_one_file(tmp_path: Path) -> None:
    """It is run, judged and shown; the second call has nothing to do but the page."""
    out = tmp_path / "out"
    command = ["reproduce", str(write_claim(tmp_path)), "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    [claim] = json.loads((out / "claims.json").read_text())["claims"]
    area, state = claim["comparisons"]
    assert area["num_problems"] == 6
    assert area["difference"]["low"] <= area["difference"]["value"] <= area["difference"]["high"]
    assert state["verdict"] == "shown"
    assert state["value"]["arm"] == state["value"]["than"] > 3 * 0.9e6 * 4  # weights, two moments
    assert claim["stages_to_do"] == 0
    costs = [arm["costs"][0] for arm in claim["arms"].values()]
    assert all(cost["generated_tokens"] >= cost["trained_tokens"] > 0 for cost in costs), costs
    page = (out / "claims.html").read_text()
    assert "A steeper &lt;rate&gt; learns faster" in page
    assert "Steep &amp; fast" in page
    before = (out / "claims.json").read_bytes()
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert "step" not in again.output.lower()
    assert (out / "claims.json").read_bytes() == before
    dry = CliRunner().invoke(app, [*command, "--dry-run"])
    assert "About 0 min left" in dry.output
    more = CliRunner().invoke(app, [*command, "--seeds", "2", "--dry-run"])
    assert "measured in this folder" in more.output
    done = CliRunner().invoke(app, [*command, "--seeds", "2"])
    assert done.exit_code == 0, done.output
    two = (out / "claims.json").read_bytes()
    page = CliRunner().invoke(app, [*command, "--page"])  # seeds that ran stay in the page
    assert page.exit_code == 0, page.output
    assert (out / "claims.json").read_bytes() == two != before


@pytest.mark.slow
def test_a_page_keeps_the_claims_that_ran_before(tmp_path: Path) -> None:
    """Two claims of one experiment, one after the other; then the page, the list, no file."""
    out, first = tmp_path / "out", write_claim(tmp_path)
    second = tmp_path / "second.toml"
    second.write_text(first.read_text().replace("A steeper <rate>", "The second"))
    for path in (first, second):
        done = CliRunner().invoke(app, ["reproduce", str(path), "--out", str(out)])
        assert done.exit_code == 0, done.output
    page = (out / "claims.html").read_text()
    assert "The second" in page
    assert "A steeper &lt;rate&gt;" in page
    assert f"mine.toml --seeds 3 --out {out}" in page
    listed = CliRunner().invoke(app, ["reproduce", "--list", "--out", str(out)])
    assert "mine" in listed.output
    assert "second" in listed.output
    first.unlink()
    again = CliRunner().invoke(app, ["reproduce", str(second), "--page", "--out", str(out)])
    assert again.exit_code == 0, again.output
    assert "Left out of the page: the claim mine" in again.output
    two = ["reproduce", str(second), "--page", "--seeds", "2", "--out", str(out)]
    assert CliRunner().invoke(app, two).exit_code == 0
    assert "1 of 2 seeds so far." in (out / "claims.html").read_text()
    file = tmp_path / "a_file"
    file.write_text("")
    dry = ["reproduce", str(second), "--dry-run", "--out", str(file)]
    assert CliRunner().invoke(app, dry).exit_code != 0


def reproduce(claim: Path, out: Path) -> None:
    """In a process of its own."""
    import sys

    sys.stdout = sys.stderr = io.StringIO()
    reproduce_command([str(claim)], seeds=1, scale="tiny", out=out)


def progress_of(out: Path) -> int:
    """Lines of metrics and evaluations that are committed."""
    lines = sum(len(p.read_text().splitlines()) for p in out.glob("*/run/metrics.jsonl"))
    return lines + len(list(out.glob("*/run/evaluations/*.json")))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    claim = write_claim(tmp_path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)

    def start(out: Path) -> multiprocessing.Process:
        process = context.Process(target=reproduce, args=(claim, out))
        process.start()
        return process

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole)
    for _ in range(NUM_KILLS):
        process, before = start(killed), progress_of(killed)
        while process.is_alive() and progress_of(killed) <= before:
            time.sleep(0.002)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"
    last = start(killed)
    for process in (uninterrupted, last):
        process.join()
        assert process.exitcode == 0
    paths = [Path("claims.json"), *(p.relative_to(whole) for p in whole.glob("*/run/**/*"))]
    kinds = (".safetensors", ".pt", ".parquet", ".json")
    names = ("claims.json", "metrics.jsonl")
    kept = [p for p in paths if "checkpoint" in str(p) and p.suffix in kinds]
    compared = kept + [p for p in paths if p.name in names]
    assert len(compared) > 6
    for path in compared:
        assert (killed / path).read_bytes() == (whole / path).read_bytes(), path
