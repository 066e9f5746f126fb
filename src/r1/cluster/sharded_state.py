"""A sharded learner's state on disk: optimiser, reference and step (torch.distributed.checkpoint).

Every rank writes its own shards into CHECKPOINT/state; tensors are known by the parameter they
belong to, so that any number of ranks reads what any other number wrote. The policy's weights are
the checkpoint's own Hugging Face files and are not stored twice.

    optimizer/KIND/KEY/PARAMETER    of the KIND-th optimiser (0 AdamW, 1 Muon), e.g. exp_avg
    reference/PARAMETER             the reference policy, where there is one
    step                            updates done
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.learner.state import RANKS_FOLDER


class LoadedState(NamedTuple):
    """What has no tensor of its own in the learner."""

    step: int


def save(learner: LocalLearner, folder: Path) -> None:
    """Write the state; all ranks together, into a folder that has none yet."""
    state = {**_optimizer_tensors(learner), **_reference_tensors(learner)}
    state["step"] = torch.tensor(learner.step)
    dcp.save(state, checkpoint_id=folder / RANKS_FOLDER)


def load(learner: LocalLearner, folder: Path) -> LoadedState:
    """Read it into the learner's optimiser and reference; all ranks together.

    Raises UserError for a folder without such a state, of another model or with other settings.
    """
    target = folder / RANKS_FOLDER
    stored = _stored(target)
    state: dict[str, Tensor] = {
        **_room_for_optimizer(learner, stored),
        **_reference_tensors(learner),
    }
    state["step"] = torch.tensor(0)
    if set(state) != set(stored):
        odd = sorted(set(state) ^ set(stored))[0]
        raise UserError(
            f"{folder} was written by a learner with other settings or another model "
            f"({odd} is on one side only)."
        )
    try:
        dcp.load(state, checkpoint_id=target)
    except CheckpointException as error:
        raise UserError(f"{target} is damaged or of another model: {error}") from error
    _into_optimizer(learner, state)
    return LoadedState(int(state["step"]))


def _stored(target: Path) -> dict[str, torch.Size]:
    """Names and shapes of what a checkpoint holds."""
    if not (target / ".metadata").is_file():
        raise UserError(
            f"{target.parent} holds no state of a sharded learner: it is a model, or was written "
            "by one process alone (then leave out [cluster])."
        )
    try:
        metadata = dcp.FileSystemReader(target).read_metadata()
    except (pickle.UnpicklingError, EOFError, OSError, AttributeError) as error:
        raise UserError(f"{target}/.metadata is damaged: {error}") from error
    return {
        name: entry.size
        for name, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }


def _names(learner: LocalLearner) -> dict[int, str]:
    return {id(p): name for name, p in learner.model.named_parameters()}


def _optimizer_tensors(learner: LocalLearner) -> dict[str, Tensor]:
    """The optimisers' tensors, themselves and not copies."""
    names = _names(learner)
    return {
        f"optimizer/{kind}/{key}/{names[id(parameter)]}": value
        for kind, (optimizer, _) in enumerate(learner.optimizer.optimizers)
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }


def _reference_tensors(learner: LocalLearner) -> dict[str, Tensor]:
    held = {} if learner.reference is None else learner.reference.state_dict()
    return {f"reference/{name}": tensor for name, tensor in held.items()}


def _room_for_optimizer(learner: LocalLearner, stored: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Tensors to read the stored optimiser state into, sharded as this learner's parameters."""
    own = dict(learner.model.named_parameters())
    room: dict[str, Tensor] = {}
    for entry, size in stored.items():
        section, *rest = entry.split("/", 3)
        if section == "optimizer" and rest[-1] in own:
            parameter = own[rest[-1]]
            whole = size == parameter.shape
            room[entry] = torch.zeros_like(parameter.detach()) if whole else torch.zeros(size)
    return room


def _into_optimizer(learner: LocalLearner, state: dict[str, Tensor]) -> None:
    own = dict(learner.model.named_parameters())
    for optimizer, _ in learner.optimizer.optimizers:
        optimizer.state.clear()
    for entry, tensor in state.items():
        section, *rest = entry.split("/", 3)
        if section == "optimizer":
            kind, key, name = rest
            per_parameter: Any = learner.optimizer.optimizers[int(kind)][0].state
            per_parameter[own[name]][key] = tensor
