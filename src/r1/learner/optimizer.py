"""AdamW, or Muon on the matrices with AdamW on the rest; warm-up, schedule and clipping.

Muon (Jordan et al., 2024) orthogonalises the momentum of a matrix; embeddings, the output head,
vectors and stacked expert weights stay with AdamW, PyTorch's own. See `muon` for why Muon is ours.

Left out on purpose: per-layer learning rates, weight decay schedules, fused or 8-bit variants.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from r1.errors import UserError
from r1.learner.movement import Movement, warn_of_stuck
from r1.learner.muon import Muon
from r1.learner.settings import OptimizerSettings
from r1.learner.sharded import whole
from r1.learner.state import OptimizerState, damaged_state, is_plain

MAX_SKIPPED = 10
"""Training ends after this many steps in a row whose loss or gradients were not finite."""

logger = logging.getLogger(__name__)


def lr_factor(step: int, total_steps: int, settings: OptimizerSettings) -> float:
    """The multiplier of both learning rates at a step (0-based) of total_steps.

    Linear warm-up over warmup_steps (the first step already moves), then constant until
    decay_start of all steps, then linear or cosine down to final_fraction at the last step.
    """
    warmup = min(1.0, (step + 1) / (settings.warmup_steps + 1))
    if settings.schedule == "constant":
        return warmup
    begin = max(settings.decay_start * total_steps, settings.warmup_steps)
    span = max(1.0, total_steps - 1 - begin)
    progress = min(1.0, max(0.0, (step - begin) / span))
    fall = progress if settings.schedule == "linear" else 0.5 * (1 - math.cos(math.pi * progress))
    return warmup * (1.0 - (1.0 - settings.final_fraction) * fall)


class FiniteGuard:
    """Refuses optimiser steps on values that are not finite, and counts those in a row."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def allows(self, step: int, *values: tuple[str, float]) -> bool:
        """Whether all named values are finite; the first that is not is told.

        Raises UserError for the MAX_SKIPPED-th step in a row that is refused.
        """
        found = next((one for one in values if not math.isfinite(one[1])), None)
        if found is None:
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        logger.warning(
            "step %d: %s is %s; the weights stay as they are (%d in a row).",
            *(step + 1, *found, self._in_a_row),
        )
        if self._in_a_row >= MAX_SKIPPED:
            raise UserError(
                f"loss or gradients were not finite in {MAX_SKIPPED} optimiser steps in a row, the "
                f"last in step {step + 1}: nothing is learnt any more. Lower optimizer.lr or "
                "optimizer.max_grad_norm, look for broken weights in the model, or carry on from "
                "an earlier checkpoint with another seed."
            )
        return False


class PolicyOptimizer:
    """One or two torch optimisers behind one step, with their base learning rates."""

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, nn.Parameter]],
        settings: OptimizerSettings,
        total_steps: int,
        not_matrices: Iterable[nn.Parameter] = (),
    ) -> None:
        """not_matrices: embeddings and the output head, which Muon must not touch."""
        self.settings = settings
        self.total_steps = total_steps
        kept = {id(parameter) for parameter in not_matrices}
        trainable = [parameter for _, parameter in named_parameters if parameter.requires_grad]
        matrices: list[nn.Parameter] = []
        if settings.kind == "muon":
            matrices = [p for p in trainable if p.ndim == 2 and id(p) not in kept]
        chosen = {id(p) for p in matrices}
        rest = [p for p in trainable if id(p) not in chosen]
        self.parameters = trainable
        self._guard = FiniteGuard()
        self._moved = False
        self.stuck_share = 0.0
        """Of the weights at the beginning: the share that a step of lr cannot move."""
        self.optimizers: list[tuple[torch.optim.Optimizer, float]] = []
        if rest:
            self.optimizers.append((self._adamw(rest), settings.lr))
            self.stuck_share = warn_of_stuck(rest, settings.lr)
        if matrices:
            self.optimizers.append((self._muon(matrices), settings.muon_lr))

    def _adamw(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        decayed = [p for p in parameters if p.ndim >= 2]
        free = [p for p in parameters if p.ndim < 2]
        groups = [
            {"params": decayed, "weight_decay": self.settings.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.settings.lr,
            betas=self.settings.betas,
            eps=self.settings.epsilon,
        )

    def _muon(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return Muon(parameters, lr=self.settings.muon_lr, weight_decay=self.settings.weight_decay)

    def step(self, step: int, loss: Tensor | float = 0.0) -> Tensor:
        """Clip the accumulated gradients, step, clear them; return the norm before clipping.

        loss: what the gradients are of, over all ranks. Where it, or the norm, is not finite the
        weights stay as they are, which is told, and the norm is NaN or infinite; after MAX_SKIPPED
        of them in a row a UserError ends the training, which learns nothing any more.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = whole(nn.utils.get_total_norm(gradients))
        nn.utils.clip_grads_with_norm_(self.parameters, self.settings.max_grad_norm, norm)
        if not math.isfinite(loss):
            norm = torch.full_like(norm, math.nan)
        if self._guard.allows(
            step, ("the loss", float(loss)), ("the gradients' norm", norm.item())
        ):
            first = None if self._moved else Movement(self.parameters)
            factor = lr_factor(step, self.total_steps, self.settings)
            for optimizer, lr in self.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = lr * factor
                optimizer.step()
            if first is not None:
                self._moved = True
                first.tell()
        for parameter in self.parameters:
            parameter.grad = None
        return norm

    def state_dict(self) -> list[dict[str, Any]]:
        return [optimizer.state_dict() for optimizer, _ in self.optimizers]

    def load_state_dict(self, states: Sequence[OptimizerState], file: Path) -> None:
        """Take up a stored state; hyperparameters stay those of the settings.

        Raises UserError, which names the file, for the state of other parameters or optimisers.
        """
        self.check_state(states, file)
        for (optimizer, _), stored in zip(self.optimizers, states, strict=True):
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": stored["state"], "param_groups": groups})

    def check_state(self, states: Sequence[OptimizerState], file: Path) -> None:
        """UserError, which names the file, unless a state belongs to these parameters."""
        if len(states) != len(self.optimizers):
            raise damaged_state(file, "was written with another kind of optimiser")
        for (optimizer, _), stored in zip(self.optimizers, states, strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            numbers = [n for group in stored["param_groups"] for n in group["params"]]
            if numbers != list(range(len(parameters))) or not stored["state"].keys() <= {*numbers}:
                raise damaged_state(file, "was written for another model's parameters")
            for number, values in stored["state"].items():
                wanted = state_shapes(optimizer, parameters[number])
                fits = {key: value.shape for key, value in values.items()} in ({}, wanted)
                if not fits or not all(map(is_plain, values.values())):
                    raise damaged_state(file, f"does not fit parameter {number} of the optimiser")


def state_shapes(optimizer: torch.optim.Optimizer, parameter: Tensor) -> dict[str, torch.Size]:
    """What an optimiser keeps for a parameter that it has moved: name -> shape."""
    if isinstance(optimizer, Muon):
        return {"momentum_buffer": parameter.shape}
    return {"exp_avg": parameter.shape, "exp_avg_sq": parameter.shape, "step": torch.Size()}
