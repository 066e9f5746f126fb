"""What a recipe implies before it runs: samples, tokens, FLOPs, GPU-hours, hours.

    GPU-hours of a part = FLOPs / (peak of one GPU x assumed share of it)
    hours of a step     = max(generation on all GPUs, longest response / its speed) + training

The second line is where large synchronous runs spend their time: a step waits for its longest
response, whatever the number of GPUs. "busy" GPU-hours add up the parts; "held" ones are the hours
times all GPUs. Every assumption stands in the estimate beside its figures. Torch-free; FLOPs as in
flops.py, rates as in hardware.py, amounts as in workload.py.

Left out on purpose: verifiers, sandboxes and endpoints (other machines), checkpoints, weight
transfer, loading and swapping of models between phases, failures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from r1.plan.activations import Device
from r1.plan.flops import generation_flops
from r1.plan.hardware import HARDWARE, RATES, Hardware, Rates, hardware_named
from r1.plan.model import ModelShape, UnknownModelError, shape_of
from r1.plan.workload import HUGE, Amount, Length
from r1.rollout.settings import EngineSettings

Work = Literal["generation", "training"]
SMALL = 50e6


class Given(NamedTuple):
    """What the user says in place of an assumption; None: the default."""

    hardware: str | None = None
    num_gpus: int | None = None
    mean_response: float | None = None
    mean_prompt: float | None = None
    rates: Rates | None = None


class Part(NamedTuple):
    """One kind of work: what for, sequences, tokens passed through the model, FLOPs, GPU-hours."""

    name: str
    work: Work
    samples: int
    tokens: float
    flops: float
    gpu_hours: float


@dataclass(frozen=True)
class Machine:
    """What a stage runs on and how well it is assumed to use it."""

    hardware: Hardware
    num_gpus: int
    rates: Rates

    @property
    def device(self) -> Device:
        """Whose kernels."""
        return "cpu" if self.hardware is HARDWARE["CPU"] else "cuda"

    @property
    def budget(self) -> float:
        """Bytes of a GPU, or of this machine, that can be used."""
        memory = self.hardware.memory_bytes
        return memory if self.device == "cpu" else 0.95 * memory - 2e9

    def gpu_hours(self, flops: float, work: Work) -> float:
        """Hours of one GPU at the assumed share of its peak."""
        training = work == "training"
        share = self.rates.training_share if training else self.rates.generation_share
        return flops / (self.hardware.peak_flops * share) / 3600

    def part(self, name: str, work: Work, samples: float, tokens: float, flops: float) -> Part:
        """A part with its GPU-hours."""
        return Part(name, work, round(samples), tokens, flops, self.gpu_hours(flops, work))

    def hours(self, parts: tuple[Part, ...], waits: float = 0.0) -> float:
        """All parts on all GPUs; waits: hours that generation takes at the least."""
        generation = sum(p.gpu_hours for p in parts if p.work == "generation") / self.num_gpus
        training = sum(p.gpu_hours for p in parts if p.work == "training") / self.num_gpus
        return max(generation, waits) + training


@dataclass(frozen=True)
class Estimate:
    """What one recipe, or one stage, implies.

    samples: responses drawn. prompt_tokens, response_tokens: of these samples, a group's prompt
    counted once. trained_tokens: tokens that pass forward and backward. makes: rows and mean tokens
    of the data set that the stage writes. unknown: what could not be counted and is missing.
    """

    name: str
    kind: str
    model: ModelShape | None = None
    machine: Machine | None = None
    samples: int = 0
    prompt_tokens: float = 0.0
    response_tokens: float = 0.0
    trained_tokens: float = 0.0
    parts: tuple[Part, ...] = ()
    hours: float = 0.0
    waits_for_longest: bool = False
    makes: Amount | None = None
    assumptions: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def flops(self) -> float:
        """Model FLOPs of all parts."""
        return sum(part.flops for part in self.parts)

    @property
    def gpu_hours(self) -> float:
        """GPU-hours of work ("busy")."""
        return sum(part.gpu_hours for part in self.parts)

    @property
    def held_gpu_hours(self) -> float:
        """Hours times GPUs, waiting included ("held")."""
        return self.hours * self.machine.num_gpus if self.machine else 0.0

    @property
    def mostly_waits(self) -> bool:
        """Whether waiting for the longest responses is more than half of its time."""
        return self.held_gpu_hours > 2 * self.gpu_hours


@dataclass(frozen=True)
class Context:
    """What the estimate of a stage may look up: its folder, the user's word, the stages above, the
    GPUs that its [cluster] asks for."""

    base_folder: Path
    given: Given = field(default_factory=Given)
    models: Mapping[str, ModelShape] = field(default_factory=dict)
    made: Mapping[str, Amount] = field(default_factory=dict)
    asked: int | None = None

    def shape(self, model: str) -> ModelShape:
        """The shape of a recipe's `model`; "@stage" has that of what the stage ends with."""
        stage = model.removeprefix("@").partition("/")[0]
        if model.startswith("@"):
            if stage not in self.models:
                raise UnknownModelError(f"what @{stage} is a model of is not known")
            return self.models[stage]
        return shape_of(model, self.base_folder)

    def made_by(self, path: str) -> Amount | None:
        """What "@stage" is estimated to give; None where that is not known."""
        return self.made.get(path.removeprefix("@").partition("/")[0])

    def machine(self, shape: ModelShape) -> Machine:
        """The hardware asked for; by default the paper's GPUs, as many as [cluster] asks for, or
        else in a number that fits the model."""
        name = self.given.hardware or ("CPU" if shape.parameters < SMALL else "H800")
        hardware = hardware_named(name)
        rates = self.given.rates or RATES.get(hardware.name, Rates())
        cpu = hardware is HARDWARE["CPU"]
        number = 1 if cpu else self.asked or _gpus(shape)
        return Machine(hardware, self.given.num_gpus or number, rates)


def _gpus(shape: ModelShape) -> int:
    """The paper's 512 for DeepSeek-V3; else what trains a model of this size in fair time."""
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
) -> Part:
    """`samples` responses to each of `prompts` prompts."""
    flops = prompts * generation_flops(shape, prompt.tokens, response.tokens, samples)
    tokens = prompts * (prompt.tokens + samples * response.tokens)
    return machine.part(name, "generation", prompts * samples, tokens, flops)


def waiting_hours(machine: Machine, engine: EngineSettings, tokens: float, longest: int) -> float:
    """Hours that drawing `tokens` tokens of responses takes at the least.

    A response comes at its own speed, however many GPUs there are; on one device, moreover, no
    more than engine.max_batch of them come at a time.
    """
    speed = machine.rates.response_speed
    seconds = longest / speed
    if machine.num_gpus == 1:
        seconds = max(seconds, tokens / (engine.max_batch * speed))
    return seconds / 3600


def sentences(notes: Iterable[str]) -> tuple[str, ...]:
    """The notes that say something, each once."""
    return tuple(dict.fromkeys(note for note in notes if note))


def seconds_of(estimates: Sequence[Estimate]) -> dict[str, float]:
    """How long each stage would take; stages of which something is unknown are left out."""
    return {e.name: 3600 * e.hours for e in estimates if not e.unknown}
