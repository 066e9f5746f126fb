"""Metrics of one update, summed on the device and read once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from r1.learner.objective import LossOutput, PolicyTokens
from r1.learner.optimizer import PolicyOptimizer, lr_factor
from r1.learner.ranks import OneRank, Ranks


class UpdateMetrics:
    """Adds up micro-batches and optimiser steps.

    Result: loss (mean over optimiser steps), grad_norm (likewise, before clipping), the objective's
    sums per token learnt from, engine_gap and engine_gap_max (absolute difference between the
    engine's and the learner's log-probabilities of the same tokens), optimizer_steps, skipped_steps
    (of those, the ones whose loss or gradients were not finite; left out where there is none),
    tokens_trained (response tokens, every pass counted) and tokens_processed (tokens the model
    saw, prompts included).
    """

    def __init__(self, device: torch.device, ranks: Ranks | None = None) -> None:
        """ranks: the processes over which everything is summed in the end."""
        self._device = device
        self._ranks = ranks or OneRank()
        self._sums: dict[str, Tensor] = {}
        self._gap_max = torch.zeros((), dtype=torch.float64, device=device)
        self._norms: list[Tensor] = []
        self._tokens = self._processed = 0

    def add(self, output: LossOutput, tokens: PolicyTokens, row_tokens: int) -> None:
        """Count one micro-batch of row_tokens packed tokens."""
        gap_M = (tokens.engine_logprobs_M - tokens.old_logprobs_M).abs().double()
        self._add({**output.sums, "loss": output.loss.detach(), "engine_gap": gap_M.sum()})
        self._gap_max = torch.maximum(self._gap_max, gap_M.max())
        self._tokens += len(tokens.response_M)
        self._processed += row_tokens

    def add_nothing(self, output: LossOutput) -> None:
        """A micro-batch that only keeps step with other ranks: zeros under the names it has."""
        names = [*output.sums, "loss", "engine_gap"]
        self._add({name: torch.zeros((), device=self._device) for name in names})

    def _add(self, sums: Mapping[str, Tensor]) -> None:
        for name, value in sums.items():
            before = self._sums.get(name)
            self._sums[name] = value.double() if before is None else before + value.double()

    def add_step(self, grad_norm: Tensor) -> None:
        """Count one optimiser step."""
        self._norms.append(grad_norm.detach().double())

    def result(self) -> dict[str, float]:
        """Everything as numbers, over all ranks."""
        counts = torch.tensor([self._tokens, self._processed], device=self._device).double()
        summed = self._ranks.sum(torch.stack([counts[0], counts[1], *self._sums.values()]))
        tokens, processed, *values = summed.tolist()
        gap_max = self._ranks.maximum(self._gap_max).item()
        sums = dict(zip(self._sums, values, strict=True))
        counted = max(1.0, sums.pop("tokens", 0.0))
        steps = max(1, len(self._norms))
        norms = [norm.item() for norm in self._norms]
        loss, gap = sums.pop("loss", 0.0), sums.pop("engine_gap", 0.0)
        return {
            "loss": loss / steps,
            "grad_norm": sum(norms) / steps,
            **{name: value / counted for name, value in sums.items()},
            "engine_gap": gap / max(1.0, tokens),
            "engine_gap_max": gap_max,
            "optimizer_steps": float(len(norms)),
            **skipped_steps(norms),
            "tokens_trained": tokens,
            "tokens_processed": processed,
        }


def only_step(optimizer: PolicyOptimizer, step: int, loss: float) -> dict[str, float]:
    """Do the optimiser step of an update that has one; return its metrics.

    Returns grad_norm (before clipping), lr, and what `skipped_steps` and `stuck_metric` tell.
    """
    norm = optimizer.step(step, loss).item()
    return {
        "grad_norm": norm,
        **skipped_steps([norm]),
        **stuck_metric(optimizer.stuck_share),
        "lr": optimizer.settings.lr * lr_factor(step, optimizer.total_steps, optimizer.settings),
    }


def skipped_steps(norms: Sequence[float]) -> dict[str, float]:
    """The metric of optimiser steps that were not taken; empty where all were."""
    skipped = sum(not math.isfinite(norm) for norm in norms)
    return {"skipped_steps": float(skipped)} if skipped else {}


def stuck_metric(share: float) -> dict[str, float]:
    """The metric of weights that cannot move (r1.learner.movement); empty where all can."""
    return {"stuck_share": share} if share else {}


def run_metrics(update: Mapping[str, float], epoch: float) -> dict[str, float]:
    """An update's metrics as a run of epochs stores them: measured times and speeds apart."""
    seconds = update["seconds"]
    values = {key: value for key, value in update.items() if key != "seconds"}
    return {
        **values,
        "epoch": epoch,
        "seconds/total": seconds,
        "speed/tokens_per_s": values["tokens_processed"] / seconds,
    }
