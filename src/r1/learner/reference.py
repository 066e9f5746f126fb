"""The reference policy of the KL term: a frozen copy of the policy, replaced now and then.

Under LoRA only the adapters differ, so only they are copied and put in the policy's place for the
length of a pass. Left out on purpose: a reference on another device or in lower precision.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class ReferenceWeights:
    """Holds tensors of the policy as they once were, and lends a model that has them."""

    def __init__(self, policy: PreTrainedModel, adapters_only: bool) -> None:
        """Take the policy as it is now."""
        self._policy = policy
        self._copy: PreTrainedModel | None = None
        self._adapters: dict[str, Tensor] = {}
        if adapters_only:
            self._adapters = {n: p.detach().clone() for n, p in self._trained().items()}
        else:
            self._copy = copy.deepcopy(policy).requires_grad_(False).eval()

    @property
    def held_model(self) -> PreTrainedModel | None:
        """The whole copy that is kept; under LoRA there is none."""
        return self._copy

    @contextmanager
    def model(self) -> Iterator[PreTrainedModel]:
        """A model with the reference's weights; under LoRA the policy itself, changed meanwhile."""
        if self._copy is not None:
            yield self._copy
            return
        self._exchange()
        try:
            yield self._policy
        finally:
            self._exchange()

    @torch.no_grad()
    def replace(self) -> None:
        """Reference <- policy (iterative GRPO; the paper: every 400 steps)."""
        for name, parameter in self._trained().items():
            self._held()[name].copy_(parameter)

    def state_dict(self) -> dict[str, Tensor]:
        return {name: tensor.detach() for name, tensor in self._held().items()}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, tensor in self._held().items():
            tensor.copy_(state[name])

    def _trained(self) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self._policy.named_parameters() if p.requires_grad}

    def _held(self) -> dict[str, Tensor]:
        if self._copy is None:
            return self._adapters
        return dict(self._copy.named_parameters())

    def _exchange(self) -> None:
        for name, parameter in self._trained().items():
            parameter.data, self._adapters[name] = self._adapters[name], parameter.data
