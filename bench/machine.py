"""What the benches of a step share: two sides in turns, the machine's limits, an update's."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

BASE = Path(__file__).parents[1] / "src/r1/data/tiny/base"
LEARNING_RATE = 1e-9
"""So small that the policy stays the base, and both sides sample from one distribution."""
Figures = list[dict[str, float]]
"""Of one side: a row for each counted step."""


def step_parser(summary: str, steps: int) -> argparse.ArgumentParser:
    """Return the options that every bench of a step has. steps: counted ones, by default."""
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--model", default=str(BASE))
    parser.add_argument("--steps", type=int, default=steps, help="counted a side and repeat")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=["ours", "trl"], help=argparse.SUPPRESS)
    return parser


def take_turns(
    arguments: argparse.Namespace,
    sides: Mapping[str, Callable[[argparse.Namespace], Figures]],
    summarise: Callable[[dict[str, dict[str, float]], argparse.Namespace], dict[str, Any]],
    describe: Callable[[dict[str, Any]], str],
) -> None:
    """Time the sides in turns, each time in a process of its own, and print the medians.

    summarise: takes each side's medians.
    """
    if arguments.side:
        print(json.dumps(sides[arguments.side](arguments)))
        return
    figures: dict[str, Figures] = {side: [] for side in sides}
    for _ in range(arguments.repeats):
        for side, rows in figures.items():
            rows += run_side(side)
    medians = {
        side: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for side, rows in figures.items()
    }
    counted = {"counted_steps": {side: len(rows) for side, rows in figures.items()}}
    result = {**summarise(medians, arguments), **counted}
    print(json.dumps(result, indent=2) if arguments.json else describe(result))


def make_clock() -> Any:
    """Return a callback of transformers' trainers with the times of its steps' ends, `ends`."""
    from transformers import TrainerCallback

    class StepClock(TrainerCallback):
        """Notes when optimiser steps end, and the logged losses."""

        def __init__(self) -> None:
            self.ends: list[float] = []
            self.losses: list[float] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                self.losses.append(float(logs["loss"]))

        @property
        def seconds(self) -> list[float]:
            """Of each step but the first, which is a warm-up."""
            return [b - a for a, b in zip(self.ends, self.ends[1:], strict=False)]

    return StepClock()


def trl_settings(arguments: argparse.Namespace, folder: str, microbatch: int) -> dict[str, Any]:
    """Return what every trainer of TRL is given."""
    return {
        "output_dir": folder,
        "use_cpu": arguments.device == "cpu",
        "bf16": arguments.dtype == "bfloat16" and arguments.device != "cpu",
        "gradient_checkpointing": False,
        "per_device_train_batch_size": microbatch,
        "learning_rate": LEARNING_RATE,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }


def measure_machine(device: str, dtype: str) -> dict[str, float]:
    """Best of eight: GFLOP/s of a 2048-wide matrix product, GB/s of a large copy (both ways)."""
    import torch

    a = torch.randn(2048, 2048).to(device, getattr(torch, dtype))
    source = torch.zeros(2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def fastest(work: Callable[[], object]) -> float:
        seconds = []
        for _ in range(8):
            start = time.perf_counter()
            work()
            if torch.device(device).type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    return {
        "gflop_per_s": 2 * 2048**3 / fastest(lambda: a @ a) / 1e9,
        "gbyte_per_s": 2 * 2**26 / fastest(lambda: target.copy_(source)) / 1e9,
    }


def run_side(side: str) -> Any:
    """Time one side in a process of its own, so that neither inherits the other's memory.

    The calling program is started again with `--side`; its last line is JSON.
    """
    command = [sys.executable, *sys.argv, "--side", side]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def update_flop(model: Any, segments: Sequence[tuple[int, int]]) -> float:
    """Operations that one pass forward and backward cannot do without.

    segments: (tokens, tokens before them that they attend to as well), each computed once.
    """
    config = model.config
    look_up = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size
    weights = sum(p.numel() for p in model.parameters()) - look_up
    per_key = 4 * config.hidden_size * config.num_hidden_layers
    return sum(
        6 * weights * own + 3.5 * per_key * own * (before + own / 2) for own, before in segments
    )
