"""The reference policy of the KL term: a frozen copy of the policy, replaced now and then.

Under LoRA only the adapters differ, so only they are copied, and exchanged with the policy's for
the length of a pass. A teacher is another model in the reference's place: it is never replaced, and
no checkpoint holds it. Left out on purpose: a reference on another device or in lower precision.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from r1.errors import UserError
from r1.learner.ranks import Ranks
from r1.learner.self_check import check_packed_path, check_used_path
from r1.learner.settings import LearnerSettings
from r1.models.load import DTYPES, load_model


class ReferenceWeights:
    """Holds tensors of the policy as they once were, and lends a model that has them."""

    def __init__(
        self, policy: PreTrainedModel, adapters_only: bool, teacher: PreTrainedModel | None = None
    ) -> None:
        """Take the policy as it is now, or the teacher, where there is one."""
        self._policy, self._taught = policy, teacher is not None
        self._copy: PreTrainedModel | None = None
        self._adapters: dict[str, Tensor] = {}
        if teacher is not None:
            self._copy = teacher.requires_grad_(False).eval()
        elif adapters_only:
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
        assert not self._taught
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
        if self._copy is None or self._taught:
            return self._adapters
        return dict(self._copy.named_parameters())

    @torch.no_grad()
    def _exchange(self) -> None:
        # In place: sharded parameters are views into memory that FSDP gathers from.
        for name, parameter in self._trained().items():
            own = parameter.detach().clone()
            parameter.copy_(self._adapters[name])
            self._adapters[name].copy_(own)


def shard_with_reference(
    policy: PreTrainedModel,
    settings: LearnerSettings,
    ranks: Ranks,
    device: torch.device,
    teacher: str | Path | None,
) -> ReferenceWeights:
    """Shard the policy over the ranks; return its reference as training begins, sharded likewise.

    policy: not sharded yet. teacher: a model's folder; None copies the policy. Raises UserError for
    a teacher that cannot be loaded, that the packed path cannot run, or that lacks a row of the
    policy's vocabulary.
    """
    if teacher is None and settings.lora is not None:
        ranks.shard(policy)
        return ReferenceWeights(policy, adapters_only=True)
    if teacher is None:
        made = ReferenceWeights(policy, adapters_only=False)
        assert made.held_model is not None
        ranks.shard(made.held_model)
        ranks.shard(policy)
        return made
    model = load_model(teacher, DTYPES[settings.dtype], ranks.load_device(device))
    theirs, own = (m.get_output_embeddings().weight.shape[0] for m in (model, policy))
    if theirs < own:
        raise UserError(
            f"the teacher {teacher} gives probabilities to {theirs:,} tokens, and the student "
            f"draws from {own:,}: take a teacher with at least the student's vocabulary."
        )
    plain_M = check_packed_path(model)
    made = ReferenceWeights(policy, adapters_only=False, teacher=model)
    ranks.shard(model)
    ranks.shard(policy)
    check_used_path(model, plain_M, ranks, device, settings.autocast)
    return made
