"""What the benches of a step share: the machine's limits, an update's, a side in a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


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
