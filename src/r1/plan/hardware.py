"""Named hardware and its assumed utilisation (torch-free).

Each rate is an assumption with a source, printed with every estimate; all can be given instead.

Training: DeepSeek-V3 took 180,000 H800-hours for a trillion tokens (arXiv 2412.19437, section 1).
With this package's own count of its FLOPs at 4,096 tokens a sequence that is 39 % of the H800's
dense bf16 peak. It computed in FP8, on 2,048 GPUs, at one length. Here 0.35.

Generation: DeepSeek's own serving of V3/R1 gives 14,800 output tokens a second on a node of eight
H800, at a mean of 4,989 tokens of context (its inference system overview, March 2025): by the same
count 18 % of the bf16 peak. That is a serving system of hundreds of GPUs with batches to match.
Here 0.15; an engine built on transformers' code reaches a fraction of that.

One response: in that service a user sees 20 to 22 tokens a second. Here 30, for an engine that
speculates; chosen with the paper's 198 hours of R1-Zero in view. It decides how long the longest
response keeps a synchronous step waiting. Other models and GPUs get more or less by the roofline of
speeds.py (`response_speed`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1.errors import UserError

GB = 1e9


class Hardware(NamedTuple):
    """One accelerator: dense bf16 peak in FLOP/s, memory in bytes, bytes/s of its memory, to the
    other GPUs of its node, and to other nodes (one direction). title: for people."""

    name: str
    title: str
    peak_flops: float
    memory_bytes: float
    bandwidth: float = 3.35e12
    link: float = 450e9
    network: float = 50e9
    per_node: int = 8

    def between(self, num_gpus: int) -> float:
        """Return the bytes/s that each of so many adjacent GPUs sends to the others."""
        return self.link if num_gpus <= self.per_node else self.network


class Rates(NamedTuple):
    """Assumed rates of a run: shares of the peak, tokens a second of one response (the default is
    of DeepSeek-V3)."""

    training_share: float = 0.35
    generation_share: float = 0.15
    response_speed: float = 30.0


HARDWARE = {
    "H800": Hardware("H800", "NVIDIA H800, 80 GB", 989e12, 80e9, link=200e9),
    "H100": Hardware("H100", "NVIDIA H100, 80 GB", 989e12, 80e9),
    "H200": Hardware("H200", "NVIDIA H200, 141 GB", 989e12, 141e9, 4.8e12),
    "A100": Hardware("A100", "NVIDIA A100, 80 GB", 312e12, 80e9, 2.04e12, 300e9, 25e9),
    "CPU": Hardware("CPU", "two CPU cores", 150e9, 8e9, 15e9, 1e9, 1e9, 1),
}
"""Peaks and bandwidths are the data sheets' (dense, bf16; half of NVLink's two-way figure; one
400 Gb/s card a GPU between nodes, 200 for A100); H800 is an H100 with slower links between GPUs.
CPU is no data sheet: what two cores of the project's own machine give in fp32 matrix products.
Commands take the machine's own memory in place of its 8 GB (`Given.memory_bytes`)."""

CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

RATES = {"CPU": Rates(training_share=0.3, generation_share=0.12, response_speed=200.0)}
"""Where the defaults of Rates do not fit: ours, for R1-Zero on the tiny world on two cores."""

PRICE_PER_HOUR = 2.0
"""US dollars for an H800-hour, the paper's own assumption (v2, training cost)."""


def on_this_cpu(recipes: Sequence[Any]) -> bool:
    """Whether a recipe, or all its stages, would run on this machine's CPU: without a [cluster],
    and with the device "cpu", or "auto" without a GPU."""
    if any(getattr(recipe, "cluster", None) is not None for recipe in recipes):
        return False
    parts = [getattr(r, "learner", None) or getattr(r, "engine", None) for r in recipes]
    devices = {part.device for part in parts if part is not None}
    no_gpu = not any(Path("/dev").glob("nvidia[0-9]*"))
    return bool(devices) and devices <= ({"cpu", "auto"} if no_gpu else {"cpu"})


def memory_here() -> float:
    """Return the bytes of this machine's memory, or of its container's limit where that is less."""
    installed = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        limit = CONTAINER_LIMIT.read_text().strip()
    except OSError:
        return installed
    return min(installed, float(limit)) if limit.isdigit() else installed


def hardware_named(name: str) -> Hardware:
    """Return the hardware of a name. Raises UserError for a name that is not in HARDWARE."""
    found = next((h for key, h in HARDWARE.items() if key.lower() == name.lower()), None)
    if found is None:
        raise UserError(f"hardware {name!r} is not known; known: {', '.join(HARDWARE)}.")
    return found
