"""Speeds fitted to a finished run's timings, and how well they predict the steps they never saw.

    rollout seconds  ~  a x iterations (longest response)  +  b x tokens
    update seconds   ~  c  +  d x tokens processed

by least squares without negative coefficients, on the first half of the steps; the second half is
predicted from its lengths alone. Torch-free; reads a run's folder.

Left out on purpose: the cost of cached tokens (it is in b where responses are short), time of
evaluations and checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1.errors import UserError
from r1.plan.lengths import by_step
from r1.plan.replica import EngineSpeed
from r1.plan.simulate import SYNCHRONOUS, LearnerSpeed, Plant, Work, simulate
from r1.run_dir.read import read_lines

_PHASES = ("rollout", "update", "sync", "total")


class Step(NamedTuple):
    """One step of a run: lengths of its responses, seconds of its phases."""

    number: int
    lengths: NDArray[np.int64]
    rollout_s: float
    update_s: float
    sync_s: float
    total_s: float


class Fit(NamedTuple):
    """Speeds of one process, and the steps they were fitted to."""

    engine: EngineSpeed
    learner: LearnerSpeed
    sync_s: float
    other_s: float
    steps: tuple[int, ...]


class Prediction(NamedTuple):
    """A step that the fit has not seen: predicted and real seconds."""

    step: int
    predicted_s: float
    real_s: float


class Comparison(NamedTuple):
    """Predictions for the steps after the fitted ones, and their errors as shares. whole: fitted to
    all steps."""

    fit: Fit
    whole: Fit
    predictions: tuple[Prediction, ...]

    @property
    def mean_error(self) -> float:
        """Predicted mean step over the real mean step, less one."""
        predicted = sum(p.predicted_s for p in self.predictions)
        return predicted / sum(p.real_s for p in self.predictions) - 1

    @property
    def typical_error(self) -> float:
        """Median over steps of the absolute error."""
        return float(np.median([abs(p.predicted_s / p.real_s - 1) for p in self.predictions]))


def read_steps(run: Path) -> list[Step]:
    """The steps of a run that have both whole timings and rollouts.

    Raises UserError where fewer than four have.
    """
    rows = read_lines(run / "timings.jsonl")
    timings = {row["step"]: phases for row in rows if (phases := _phases(row)) is not None}
    lengths = by_step(run) if timings else {}
    both = [n for n in sorted(timings.keys() & lengths.keys()) if len(lengths[n])]
    steps = [Step(n, lengths[n], *timings[n]) for n in both]
    if len(steps) < 4:
        raise UserError(f"{run} has timings of {len(steps)} steps; at least 4 are needed.")
    return steps


def _phases(row: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Seconds of rollout, update, sync and the whole step; None where a line lacks one."""
    rollout, update, sync, total = (row.get(f"seconds/{name}") for name in _PHASES)
    if rollout is None or update is None or sync is None or not total:
        return None
    return float(rollout), float(update), float(sync), float(total)


def fit_speeds(steps: list[Step]) -> Fit:
    """Speeds of the one process that made these steps, whose engine held all responses at once."""
    longest = np.array([step.lengths.max() for step in steps], dtype=float)
    tokens = np.array([step.lengths.sum() for step in steps], dtype=float)
    rollout = np.array([step.rollout_s for step in steps])
    update = np.array([step.update_s for step in steps])
    a, b = _not_negative(longest, tokens, rollout)
    c, d = _not_negative(np.ones(len(steps)), tokens, update)
    sync = float(np.mean([step.sync_s for step in steps]))
    other = float(np.mean([s.total_s - s.rollout_s - s.update_s - s.sync_s for s in steps]))
    # Nothing is read beside arithmetic here: "overhead" is the whole of an iteration's fixed cost.
    engine = EngineSpeed(overhead_s=a, row_s=b)
    numbers = tuple(step.number for step in steps)
    return Fit(engine, LearnerSpeed(update_s=c, token_s=d), sync, other, numbers)


def _not_negative(
    first: NDArray[np.float64], second: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[float, float]:
    """Least squares for target = x first + y second; a negative one is 0 and the other alone."""
    (x, y), *_ = np.linalg.lstsq(np.stack([first, second], 1), target, rcond=None)
    if x < 0 or y < 0:
        alone = [float(v @ target / (v @ v)) for v in (first, second)]
        return (0.0, alone[1]) if x < 0 else (alone[0], 0.0)
    return float(x), float(y)


def compare(run: Path, group_size: int) -> Comparison:
    """Fit the first half of a run's steps, simulate the second. Raises UserError as read_steps."""
    steps = read_steps(run)
    fit = fit_speeds(steps[: len(steps) // 2])
    predictions = []
    for step in steps[len(steps) // 2 :]:
        number = len(step.lengths)
        work = Work(number // group_size, group_size, 0, lambda *_, s=step: s.lengths)
        plant = Plant(1, number, fit.engine, fit.learner, fit.sync_s)
        seconds = simulate(work, plant, SYNCHRONOUS, num_steps=1, warm_up=0).step_s + fit.other_s
        predictions.append(Prediction(step.number, seconds, step.total_s))
    return Comparison(fit, fit_speeds(steps), tuple(predictions))
