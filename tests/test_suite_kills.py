"""A suite of benchmarks killed ten times by a signal ends with the bytes of one that was not."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

NUM_KILLS = 10
SIZES = {"sums": 14, "words": 9, "last": 3}
PRELOAD = ["torch", "transformers", "r1.benchmarks.running.measure", "r1.rollout.embedded",
           "r1.benchmarks.table", "r1.rewards.pool", "r1.models.load"]  # fmt: skip


def write_benchmarks(folder: Path) -> None:
    for name, size in SIZES.items():
        rows = [{"q": f"{name}: {i} + {i} =", "answer": str(2 * i)} for i in range(size)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        table = (
            f'name = "{name}"\ndata = "{name}.jsonl"\nprompt = "{{q}}"\nverifier = "exact"\nk = 2'
        )
        (folder / f"{name}.toml").write_text(table)


def run_suite(folder: Path, out: Path) -> None:
    """In a process of its own: the shipped model, blocks of two questions."""
    from rich.console import Console

    from r1.benchmarks.running.choose import choose
    from r1.benchmarks.running.measure import Options, run_benchmarks
    from r1.evaluate import blocks

    blocks.BLOCK_SAMPLES = 4
    chosen, _ = choose([str(folder / f"{name}.toml") for name in SIZES], None)
    console = Console(file=io.StringIO())
    run_benchmarks("tiny", chosen, None, out, console, Options(max_new_tokens=16))


def blocks_in(out: Path) -> int:
    return sum(1 for path in out.glob("*/blocks/*") if path.suffix == ".parquet")


@pytest.mark.slow
def test_a_suite_killed_ten_times_ends_with_the_same_bytes(tmp_path) -> None:
    write_benchmarks(tmp_path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)

    def start(out: Path) -> multiprocessing.Process:
        process = context.Process(target=run_suite, args=(tmp_path, out))
        process.start()
        return process

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole)
    for _ in range(NUM_KILLS):
        process, before = start(killed), blocks_in(killed)
        while process.is_alive() and blocks_in(killed) == before:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"
    last = start(killed)
    for process in (uninterrupted, last):
        process.join()
        assert process.exitcode == 0
    paths = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert sum(path.suffix == ".parquet" for path in paths) == 14
    compared = [path for path in paths if path.suffix in (".json", ".parquet")]
    for path in compared:
        assert (killed / path).read_bytes() == (whole / path).read_bytes(), path
