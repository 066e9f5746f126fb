"""Estimate a recipe before it runs: samples, tokens, FLOPs, GPU-hours, hours.

    GPU-hours of a part = FLOPs / (peak of one GPU x assumed share of it)
    hours of a step     = max(generation on all GPUs, longest response / its speed) + training

The second line is where large synchronous runs spend their time: a step waits for its longest
response, whatever the number of GPUs. "busy" GPU-hours are the sum of the parts; "held" ones are
the hours times all GPUs. The estimate lists every assumption beside its figures. Torch-free; FLOPs
as in flops.py, rates as in hardware.py, amounts as in workload.py.

Left out on purpose: verifiers, sandboxes and endpoints (other machines), checkpoints, weight
transfer, loading and swapping of models between phases, failures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from r1.plan.flops import generation_flops
from r1.plan.hardware import RATES, Rates, hardware_named
from r1.plan.machine import Machine, WorkPart
from r1.plan.model import ModelShape, UnknownModelError, shape_of
from r1.plan.speeds import response_speed
from r1.plan.workload import HUGE, Amount, Length, stage_of
from r1.rollout.settings import EngineSettings

SMALL = 50e6


class Given(NamedTuple):
    """The user's values in place of assumptions; None: the default. memory_bytes: of a CPU's
    machine."""

    hardware: str | None = None
    num_gpus: int | None = None
    mean_response: float | None = None
    mean_prompt: float | None = None
    rates: Rates | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True)
class Estimate:
    """The estimate of one recipe or one stage.

    samples: responses drawn. prompt_tokens, response_tokens: of these samples, a group's prompt
    counted once. trained_tokens: tokens that pass forward and backward. makes: rows and mean tokens
    of the data set that the stage writes. unknown: figures that could not be counted and are
    missing.
    """

    name: str
    kind: str
    model: ModelShape | None = None
    machine: Machine | None = None
    samples: int = 0
    prompt_tokens: float = 0.0
    response_tokens: float = 0.0
    trained_tokens: float = 0.0
    parts: tuple[WorkPart, ...] = ()
    hours: float = 0.0
    waits_for_longest: bool = False
    makes: Amount | None = None
    assumptions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def flops(self) -> float:
        """Return the model FLOPs of all parts."""
        return sum(part.flops for part in self.parts)

    @property
    def gpu_hours(self) -> float:
        """Return the GPU-hours of work ("busy")."""
        return sum(part.gpu_hours for part in self.parts)

    @property
    def held_gpu_hours(self) -> float:
        """Return hours times GPUs, waiting included ("held")."""
        return self.hours * self.machine.num_gpus if self.machine else 0.0

    @property
    def mostly_waits(self) -> bool:
        """Whether waiting for the longest responses takes more than half of the time."""
        return self.held_gpu_hours > 2 * self.gpu_hours


@dataclass(frozen=True)
class Context:
    """Data for a stage's estimate: its folder, the user's values, the earlier stages, the GPUs that
    its [cluster] asks for."""

    base_folder: Path
    given: Given = field(default_factory=Given)
    models: Mapping[str, ModelShape] = field(default_factory=dict)
    made: Mapping[str, Amount] = field(default_factory=dict)
    asked: int | None = None

    def shape(self, model: str) -> ModelShape:
        """Return the shape of a recipe's `model`; for "@stage" that of the stage's result."""
        if model.startswith("@"):
            if (stage := stage_of(model)) not in self.models:
                raise UnknownModelError(
                    f"the model of {model} is unknown: no stage {stage} makes one"
                )
            return self.models[stage]
        return shape_of(model, self.base_folder)

    def teacher(self, recipe: Any) -> ModelShape | None:
        """Return the shape of the teacher of a recipe that distils; None where it has none."""
        named = getattr(getattr(recipe, "algorithm", None), "teacher_model", None)
        return self.shape(named) if named else None

    def made_by(self, path: str) -> Amount | None:
        """Return the estimated output of "@stage"; None if unknown."""
        return self.made.get(stage_of(path))

    def machine(self, shape: ModelShape) -> Machine:
        """Return the requested hardware; by default the paper's GPUs, as many as [cluster] asks
        for, else a number that fits the model. The speed of a response is the model's."""
        name = self.given.hardware or ("CPU" if shape.parameters < SMALL else "H800")
        hardware = hardware_named(name)
        cpu = hardware.name == "CPU"
        rates = self.given.rates or RATES.get(hardware.name, Rates())
        if not cpu and self.given.rates is None:
            rates = rates._replace(response_speed=response_speed(shape, hardware, rates))
        if cpu and self.given.memory_bytes is not None:
            hardware = hardware._replace(memory_bytes=self.given.memory_bytes)
        number = 1 if cpu else self.asked or _gpus(shape)
        return Machine(hardware, self.given.num_gpus or number, rates)


def _gpus(shape: ModelShape) -> int:
    """Return 512 for DeepSeek-V3 (the paper's), else GPUs that train the model in fair time."""
    sizes = ((4e9, 1), (20e9, 8), (HUGE, 64))
    return next((number for size, number in sizes if shape.parameters < size), 512)


def drawn(
    machine: Machine,
    shape: ModelShape,
    prompt: Length,
    response: Length,
    prompts: float,
    samples: int,
    name: str = "generation",
) -> WorkPart:
    """Return the part of drawing `samples` responses to each of `prompts` prompts."""
    flops = prompts * generation_flops(shape, prompt.tokens, response.tokens, samples)
    tokens = prompts * (prompt.tokens + samples * response.tokens)
    return machine.part(name, "generation", prompts * samples, tokens, flops)


def waiting_hours(machine: Machine, engine: EngineSettings, tokens: float, longest: int) -> float:
    """Return the least hours in which `tokens` tokens of responses can be drawn.

    A response comes at its own speed, however many GPUs there are; on one device, moreover, no
    more than engine.max_batch of them come at a time.
    """
    speed = machine.rates.response_speed
    seconds = longest / speed
    if machine.num_gpus == 1:
        seconds = max(seconds, tokens / (engine.max_batch * speed))
    return seconds / 3600


def sentences(notes: Iterable[str]) -> tuple[str, ...]:
    """Return the notes that are not empty, each once."""
    return tuple(dict.fromkeys(note for note in notes if note))


def seconds_of(estimates: Sequence[Estimate]) -> dict[str, float]:
    """Return the estimated seconds of each stage; stages with unknown figures are left out."""
    return {e.name: 3600 * e.hours for e in estimates if not e.unknown}
