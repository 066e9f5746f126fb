"""A stage's hardware with its assumed utilisation, and one kind of work on it (torch-free)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from r1.plan.activations import Device
from r1.plan.hardware import Hardware, Rates

Work = Literal["generation", "training"]


class WorkPart(NamedTuple):
    """One kind of work: its name, sequences, tokens passed through the model, FLOPs, GPU-hours."""

    name: str
    work: Work
    samples: int
    tokens: float
    flops: float
    gpu_hours: float


@dataclass(frozen=True)
class Machine:
    """A stage's hardware and its assumed utilisation."""

    hardware: Hardware
    num_gpus: int
    rates: Rates

    @property
    def device(self) -> Device:
        """Return the device whose kernels are used."""
        return "cpu" if self.hardware.name == "CPU" else "cuda"

    @property
    def budget(self) -> float:
        """Return the usable bytes of a GPU, or of this machine."""
        memory = self.hardware.memory_bytes
        return memory if self.device == "cpu" else 0.95 * memory - 2e9

    def gpu_hours(self, flops: float, work: Work) -> float:
        """Return hours of one GPU at the assumed share of its peak."""
        training = work == "training"
        share = self.rates.training_share if training else self.rates.generation_share
        return flops / (self.hardware.peak_flops * share) / 3600

    def part(self, name: str, work: Work, samples: float, tokens: float, flops: float) -> WorkPart:
        """Return a part with its GPU-hours."""
        return WorkPart(name, work, round(samples), tokens, flops, self.gpu_hours(flops, work))

    def hours(self, parts: tuple[WorkPart, ...], waits: float = 0.0) -> float:
        """Return the hours of all parts on all GPUs; waits: the least hours of generation."""
        generation = sum(p.gpu_hours for p in parts if p.work == "generation") / self.num_gpus
        training = sum(p.gpu_hours for p in parts if p.work == "training") / self.num_gpus
        return max(generation, waits) + training
