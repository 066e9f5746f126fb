"""A critic: a value head on the policy's last hidden states, or on those of a model of its own.

    V_t = w · h_t / D + b        h_t: the hidden state that predicts token t, after the last norm

The head starts at zero, so that its first values are 0 and no seed is needed. It is divided by the
width so that one learning rate serves for any: AdamW's step moves a value by about
value_lr * (mean |h| + 1). Value and log-probability of a token come out of one pass through the
model.

The value loss reaches the policy's own weights too, times `value_weight`; with 0 the head only
reads. In the first `value_warmup` updates the policy stands still and the head alone learns: the
advantages of a critic that knows nothing are as good as none.

Every rank holds the whole head (D + 1 numbers) and steps it with the sum of all ranks' gradients:
equal numbers everywhere, so that any number of ranks reads what any other wrote.

With a body of its own (`critic_body`) the value loss reaches that instead of the policy, and in the
warm-up head and body learn.

Left out on purpose: a schedule and decay for the head.

Shapes: M response tokens of a row, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from r1.learner.critic_body import KEPT, CriticBody, unmoved
from r1.learner.objective import CriticObjective
from r1.learner.optimizer import FiniteGuard
from r1.learner.ranks import Ranks
from r1.learner.settings import OptimizerSettings

PREFIX = "critic/"


class ValueHead(nn.Module):
    """Hidden states [M, D] to values [M], in fp32 or better."""

    def __init__(self, width: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        wide = torch.promote_types(dtype, torch.float32)
        self.weight = nn.Parameter(torch.zeros(width, dtype=wide, device=device))
        self.bias = nn.Parameter(torch.zeros(1, dtype=wide, device=device))

    def forward(self, hidden_MD: Tensor) -> Tensor:
        with torch.autocast(hidden_MD.device.type, enabled=False):
            return hidden_MD.to(self.weight.dtype) @ (self.weight / len(self.weight)) + self.bias


class Critic:
    """The head, its optimiser and their state; and those of the body, where it has one."""

    def __init__(
        self,
        width: int,
        dtype: torch.dtype,
        device: torch.device,
        objective: CriticObjective,
        optimizer: OptimizerSettings,
        ranks: Ranks,
        body: CriticBody | None = None,
    ) -> None:
        """width, dtype: of the policy's hidden states. optimizer: AdamW's decay rates, epsilon and
        the largest norm of a gradient; the learning rate is the objective's. body: None puts the
        head on the policy."""
        self.body = body
        self.head = ValueHead(width, dtype, device)
        self.weight, self.warmup = objective.value_weight, objective.value_warmup
        self.max_grad_norm, self.ranks = optimizer.max_grad_norm, ranks
        self._guard = FiniteGuard()
        self.optimizer = torch.optim.AdamW(
            self.head.parameters(),
            lr=objective.value_lr,
            betas=optimizer.betas,
            eps=optimizer.epsilon,
            weight_decay=0.0,
        )

    def values(self, hidden_MD: Tensor) -> Tensor:
        """Return values, [M]; their gradient reaches the hidden states `value_weight` times."""
        if self.body is not None:
            return self.head(hidden_MD)
        if self.weight == 0.0:
            return self.head(hidden_MD.detach())
        seen_MD = hidden_MD.view_as(hidden_MD)
        if seen_MD.requires_grad and self.weight != 1.0:
            seen_MD.register_hook(lambda gradient: gradient * self.weight)
        return self.head(seen_MD)

    def warming_up(self, step: int) -> bool:
        """Whether the update after `step` others teaches the critic alone."""
        return step < self.warmup

    def step(self, step: int) -> Tensor:
        """Sum the gradients over ranks, clip, step, clear; return the head's norm before clipping.

        Gradients that are not finite change nothing, neither head nor body, which is told; the norm
        is then not finite. Raises UserError after MAX_SKIPPED such steps in a row.
        """
        parameters = list(self.head.parameters())
        for parameter in parameters:
            own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = self.ranks.sum(own)
        norm = nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
        of_body = norm if self.body is None else self.body.norm()
        both = norm + of_body
        if self._guard.allows(step, ("the norm of the critic's gradients", both.item())):
            self.optimizer.step()
            if self.body is not None:
                self.body.step(of_body)
        else:
            norm = both  # whichever it was, it is not finite now
        self.discard()
        return norm

    def discard(self) -> None:
        """Clear the gradients."""
        self.optimizer.zero_grad()
        if self.body is not None:
            self.body.discard()

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights and moments, by names that do not depend on how many steps were done."""
        state: dict[str, Tensor] = {} if self.body is None else self.body.state_dict()
        for name, parameter in self.head.named_parameters():
            kept = self.optimizer.state.get(parameter) or unmoved(parameter)
            state |= {f"{name}/{key}": kept[key] for key in KEPT} | {name: parameter.detach()}
        return state

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what `state_dict` gave; names and shapes have been checked."""
        for name, parameter in self.head.named_parameters():
            parameter.copy_(state[name])
            fresh = unmoved(parameter)
            self.optimizer.state[parameter] = {
                key: fresh[key].copy_(state[f"{name}/{key}"]) for key in KEPT
            }
        if self.body is not None:
            self.body.load_state_dict(state)
