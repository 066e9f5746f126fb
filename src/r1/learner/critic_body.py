"""A critic's own model: a copy of the policy as training begins, with an optimiser and a rate.

    V_t = w · h_t / D + b        h_t: the last hidden state of the copy, before token t is drawn

The copy learns from the value loss alone, and the policy from the policy loss alone, as PPO for
language models is usually run (2203.02155, appendix C). It costs what a second policy costs:
weights, gradients and two moments, a forward pass before the update and a learning pass in it.

Under LoRA the policy's adapters are not in the copy, all of whose weights learn. Ranks shard the
copy as they shard the policy, and any number of ranks reads what any other wrote.

Left out on purpose: a critic of another size, or one that was trained before (NeMo-RL's starts from
a checkpoint); a schedule and decay.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from r1.learner.settings import OptimizerSettings
from r1.learner.sharded import like, whole

PREFIX = "body/"
KEPT = ("exp_avg", "exp_avg_sq", "step")


class CriticBody:
    """The copy, its optimiser and their state."""

    def __init__(self, model: PreTrainedModel, lr: float, optimizer: OptimizerSettings) -> None:
        """model: sharded already, where there are ranks. optimizer: AdamW's decay rates, epsilon
        and the largest norm of a gradient."""
        self.model = model
        self.max_grad_norm = optimizer.max_grad_norm
        self.named = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.named.values(),
            lr=lr,
            betas=optimizer.betas,
            eps=optimizer.epsilon,
            weight_decay=0.0,
        )

    def norm(self) -> Tensor:
        """Return the norm of the gradients, over all ranks, before clipping."""
        gradients = [p.grad for p in self.named.values() if p.grad is not None]
        return whole(nn.utils.get_total_norm(gradients))

    def step(self, norm: Tensor) -> None:
        """Clip and step. norm: of the gradients, finite."""
        nn.utils.clip_grads_with_norm_(self.named.values(), self.max_grad_norm, norm)
        assert math.isfinite(norm)
        self.optimizer.step()

    def discard(self) -> None:
        """Clear the gradients."""
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights and moments, by names that do not depend on how many steps were done."""
        state: dict[str, Tensor] = {}
        for name, parameter in self.named.items():
            kept = self.optimizer.state.get(parameter) or unmoved(parameter)
            state[f"{PREFIX}{name}"] = parameter.detach()
            state |= {f"{PREFIX}{name}/{key}": kept[key] for key in KEPT}
        return state

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what `state_dict` gave; names and shapes have been checked."""
        for name, parameter in self.named.items():
            parameter.copy_(like(parameter, state[f"{PREFIX}{name}"]))
            fresh = unmoved(parameter)
            self.optimizer.state[parameter] = {
                key: fresh[key].copy_(like(fresh[key], state[f"{PREFIX}{name}/{key}"]))
                for key in KEPT
            }


def unmoved(parameter: Tensor) -> dict[str, Tensor]:
    """Return AdamW's state before the first step; its count of steps is on the CPU."""
    zeros = torch.zeros_like(parameter.detach())
    return {"exp_avg": zeros, "exp_avg_sq": zeros.clone(), "step": torch.tensor(0.0)}


def without_output_head(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model with its output head frozen, unless the embeddings are that too."""
    ends = (model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    if ends[0] is not ends[1]:
        ends[1].requires_grad_(False)
    return model
