"""A suite of benchmarks killed ten times by a signal ends with the bytes of one that was not."""

from __future__ import annotations

import io
import json
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint, data_of, reply_json
from small_models import save_small_model

SHARED = Path(__file__).parents[2] / "shared/benchmarks"
NUM_KILLS = 10
SIZES = {"sums": 14, "words": 9, "last": 3}
PRELOAD = ["torch", "transformers", "r1.benchmarks.running.measure", "r1.rollout.embedded",
           "r1.benchmarks.table", "r1.rewards.pool", "r1.models.load",
           "test_suite_kills"]  # fmt: skip
"""What the forkserver imports once, so that a process that is started again does not."""
if SHARED.is_dir():
    PRELOAD.append("suite_data")


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
    from r1.evaluation import blocks

    blocks.BLOCK_SAMPLES = 4
    chosen, _ = choose([str(folder / f"{name}.toml") for name in SIZES], None)
    console = Console(file=io.StringIO())
    run_benchmarks("tiny", chosen, None, out, console, Options(max_new_tokens=16))


def run_every_benchmark(model: Path, judge: str, out: Path) -> None:
    """In a process of its own: a small random model, 20 questions of each, a block each."""
    from rich.console import Console

    from r1.benchmarks.running import measure
    from r1.evaluation import blocks
    from r1.judge.settings import JudgeSettings
    from suite_data import CHOSEN, DATA, LOADED

    os.environ.update(FAKE_KEY=KEY, NO_PROXY="127.0.0.1")  # the forkserver's are older
    blocks.BLOCK_SAMPLES = 20
    measure.load = lambda benchmark, data: LOADED[benchmark.name]
    settings = JudgeSettings(base_url=judge, model=MODEL, api_key_env="FAKE_KEY")
    options = measure.Options(20, 1, 4, think=False, judge=settings)
    measure.run_benchmarks(str(model), CHOSEN, DATA, out, Console(file=io.StringIO()), options)


def any_verdict(prompt: str) -> str:
    if '"m", "M"' in prompt:
        return "M"
    labels = ("A>>B", "A=B", "B>A") if "A>>B" in prompt else ("correct", "incorrect")
    return reply_json(prompt, labels[len(data_of(prompt, "question")) % len(labels)])


def blocks_in(out: Path) -> int:
    return sum(1 for path in out.glob("*/blocks/*") if path.suffix == ".parquet")


def kill_ten_times(
    target: Callable[..., None], arguments: tuple, folder: Path, look_every_s: float = 0.002
) -> list[Path]:
    """Compare a suite killed at its next block, ten times, with one that was not; its files.

    look_every_s: looking takes a millisecond or two of a processor that the suite needs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)

    def start(out: Path) -> multiprocessing.Process:
        process = context.Process(target=target, args=(*arguments, out))
        process.start()
        return process

    whole, killed = folder / "whole", folder / "killed"
    uninterrupted = start(whole)
    for number in range(NUM_KILLS):
        begun, before = time.monotonic(), blocks_in(killed)
        process = start(killed)
        while process.is_alive() and blocks_in(killed) == before:
            time.sleep(look_every_s)
        print(f"kill {number}: {before} blocks, {time.monotonic() - begun:.1f} s", flush=True)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"
    last = start(killed)
    for process in (uninterrupted, last):
        process.join()
        assert process.exitcode == 0
    paths = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    for path in paths:
        if path.suffix in (".json", ".jsonl", ".parquet") and path.name != "judge.jsonl":
            assert (killed / path).read_bytes() == (whole / path).read_bytes(), path
    return paths


@pytest.mark.slow
def test_a_suite_killed_ten_times_ends_with_the_same_bytes(tmp_path) -> None:
    write_benchmarks(tmp_path)
    paths = kill_ten_times(run_suite, (tmp_path,), tmp_path)
    assert sum(path.suffix == ".parquet" for path in paths) == 14


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/benchmarks")
@pytest.mark.skipif("R1_TEST_ALL" not in os.environ, reason="many minutes: set R1_TEST_ALL=1")
def test_every_benchmark_at_20_questions_killed_ten_times(tmp_path) -> None:
    """Judged ones by a judge on this machine."""
    model = save_small_model(tmp_path / "model", max_position_embeddings=4096)
    top = {"M": math.log(0.6), "m": math.log(0.2)}
    with FakeEndpoint(brain=any_verdict, top=lambda prompt: top) as judge:
        suite = run_every_benchmark, (model, judge.base_url)
        paths = kill_ten_times(*suite, tmp_path, look_every_s=0.05)
    measured = {path.parent.name for path in paths if path.name == "benchmark.json"}
    assert len(measured) >= 20
    assert {"mmlu", "ifeval", "humaneval", "alpaca_eval", "arena_hard", "simpleqa"} <= measured
