"""Which sampler a run's settings ask for."""

from __future__ import annotations

from typing import Protocol

from r1.sampling.in_turn import InTurn
from r1.sampling.late import LateSampler, LateVerdicts
from r1.sampling.partial import PartialRollouts
from r1.sampling.protocol import Sampler
from r1.sampling.roll_out import BatchSource, Rollouts
from r1.sampling.whole import WholeBatches


class AheadSettings(Protocol):
    """How far sampling runs ahead: r1.algorithms.settings.AlgorithmSettings has both."""

    @property
    def staleness(self) -> int: ...

    @property
    def partial_rollouts(self) -> bool: ...


def open_sampler(source: BatchSource, rollouts: Rollouts, settings: AheadSettings) -> Sampler:
    """The sampler of a run, to be entered as a context manager."""
    sampler: Sampler
    if settings.partial_rollouts:
        sampler = PartialRollouts(source, rollouts)
    else:
        sampler = (WholeBatches if settings.staleness else InTurn)(source, rollouts)
    late = rollouts.scorer
    return LateSampler(sampler, late) if isinstance(late, LateVerdicts) else sampler
