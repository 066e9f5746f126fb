"""A sharded learner's state on disk: optimiser, reference and step (torch.distributed.checkpoint).

Every rank writes its own shards into CHECKPOINT/state; tensors are known by the parameter they
belong to, so that any number of ranks reads what any other number wrote. The policy's weights are
the checkpoint's own Hugging Face files and are not stored twice; under LoRA those have the adapters
merged, which are therefore kept apart here.

    optimizer/KIND/KEY/PARAMETER    of the KIND-th optimiser (0 AdamW, 1 Muon), e.g. exp_avg
    reference/PARAMETER             the reference policy, where there is one
    critic/NAME                     a value head and its optimiser, where there is one; whole
    adapters/PARAMETER              what learns under LoRA
    step                            updates done
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException

from r1.errors import UserError
from r1.learner.critic import PREFIX, Critic
from r1.learner.optimizer import PolicyOptimizer, state_shapes
from r1.learner.reference import ReferenceWeights
from r1.learner.shard_reader import CheckedReader, read_metadata
from r1.learner.sharded import like
from r1.learner.state import STATE_FILE, check_fits, damaged_state, read_state
from r1.run_dir.atomic import is_disk_full

RANKS_FOLDER = "state"


class _Named(Protocol):
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...


class Trained(Protocol):
    """What a learner's state consists of: LocalLearner's, or a reward model's."""

    step: int

    @property
    def model(self) -> _Named: ...

    @property
    def optimizer(self) -> PolicyOptimizer: ...

    @property
    def reference(self) -> ReferenceWeights | None: ...

    @property
    def critic(self) -> Critic | None: ...

    @property
    def adapted(self) -> dict[str, Tensor]:
        """What learns under LoRA, by name; none without."""

    def stored_weights(self, folder: Path) -> Iterator[tuple[str, Tensor]]:
        """The weights that a checkpoint holds, whole."""


def save(learner: Trained, folder: Path) -> None:
    """Write the state; all ranks together, into a folder that has none yet."""
    state = {
        **_optimizer_tensors(learner),
        **_reference_tensors(learner),
        **_critic_tensors(learner),
        **_adapter_tensors(learner),
    }
    state["step"] = torch.tensor(learner.step)
    # In one order, whether the optimiser was stepped or loaded: equal states, equal files.
    state = dict(sorted(state.items()))
    dcp.save(state, checkpoint_id=folder / RANKS_FOLDER)


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn what a rank meets on a full disk into an OSError, which travels from process to process;
    any other failure of a distributed checkpoint, no Exception in PyTorch, into a RuntimeError."""
    try:
        yield
    except (Exception, CheckpointException) as error:
        causes: list[BaseException] = [error]
        if isinstance(error, CheckpointException):
            causes = [wrapped[0] for wrapped in error.failures.values()]
        if any(is_disk_full(cause, folder) for cause in causes):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
        if isinstance(error, CheckpointException):
            raise RuntimeError(f"{folder} could not be written: {causes}") from error
        raise


def written_by_ranks(folder: Path) -> bool:
    """Whether a checkpoint's state is of this kind."""
    return (folder / RANKS_FOLDER).is_dir()


def load(learner: Trained, folder: Path) -> None:
    """Read weights, optimiser, reference and step into the learner; all ranks together.

    The learner may be sharded or not, whoever wrote the checkpoint. Raises UserError for a folder
    that is no checkpoint, of another model or with other settings.
    """
    if written_by_ranks(folder):
        _load_shards(learner, folder)
    else:
        _load_whole(learner, folder)
    if learner.adapted:
        return
    own = dict(learner.model.named_parameters())
    with torch.no_grad():
        for name, tensor in learner.stored_weights(folder):
            if name not in own:
                raise _foreign(folder, name)
            own[name].copy_(like(own[name], tensor.detach()))


def _load_whole(learner: Trained, folder: Path) -> None:
    """The state that one process wrote: learner.pt, whose tensors are whole and numbered."""
    state = read_state(folder)
    held = {} if learner.reference is None else learner.reference.state_dict()
    reference, adapters = state.get("reference") or {}, state.get("adapters") or {}
    check_fits(folder / STATE_FILE, adapters, learner.adapted)
    check_fits(folder / STATE_FILE, reference, held)
    critic = _critic_state(learner)
    check_fits(folder / STATE_FILE, state.get("critic") or {}, critic)
    learner.optimizer.check_state(state["optimizer"], folder / STATE_FILE)
    for (optimizer, _), one in zip(learner.optimizer.optimizers, state["optimizer"], strict=True):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.state.clear()
        for number, parameter in enumerate(parameters):
            for key, value in one["state"].get(number, {}).items():
                fits = value.shape == parameter.shape
                optimizer.state[parameter][key] = like(parameter, value) if fits else value
    for own, values in ((held, reference), (learner.adapted, adapters)):
        for name, tensor in own.items():
            tensor.copy_(like(tensor, values[name]))
    if learner.critic is not None:
        learner.critic.load_state_dict(state["critic"])
    learner.step = state["step"]


def _foreign(folder: Path, what: str) -> UserError:
    return UserError(
        f"{folder} was written by a learner with other settings or another model "
        f"({what} is on one side only)."
    )


def _load_shards(learner: Trained, folder: Path) -> None:
    target = folder / RANKS_FOLDER
    stored = _stored(target)
    state: dict[str, Tensor] = {
        **_room_for_optimizer(learner, stored),
        **_reference_tensors(learner),
        **{name: torch.zeros_like(tensor) for name, tensor in _critic_tensors(learner).items()},
        **_adapter_tensors(learner),
    }
    state["step"] = torch.tensor(0)
    if set(state) != set(stored):
        raise _foreign(folder, sorted(set(state) ^ set(stored))[0])
    try:
        dcp.load(state, storage_reader=CheckedReader(target))
    except (CheckpointException, RuntimeError, ValueError, EOFError, AssertionError) as error:
        raise UserError(f"{target} is damaged or of another model: {error}") from error
    if (step := int(state["step"])) < 0:
        raise damaged_state(target, f"says that {step} updates were done")
    _into_optimizer(learner, state)
    if learner.critic is not None:
        named = {n.removeprefix(PREFIX): t for n, t in state.items() if n.startswith(PREFIX)}
        learner.critic.load_state_dict(named)
    learner.step = step


def _stored(target: Path) -> dict[str, torch.Size]:
    """Names and shapes of what a checkpoint holds."""
    entries = read_metadata(target).state_dict_metadata
    return {name: entry.size for name, entry in entries.items()}  # type: ignore[union-attr]


def _names(learner: Trained) -> dict[int, str]:
    return {id(p): name for name, p in learner.model.named_parameters()}


def _optimizer_tensors(learner: Trained) -> dict[str, Tensor]:
    """The optimisers' tensors, themselves and not copies."""
    names = _names(learner)
    return {
        f"optimizer/{kind}/{key}/{names[id(parameter)]}": value
        for kind, (optimizer, _) in enumerate(learner.optimizer.optimizers)
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }


def _reference_tensors(learner: Trained) -> dict[str, Tensor]:
    held = {} if learner.reference is None else learner.reference.state_dict()
    return {f"reference/{name}": tensor for name, tensor in held.items()}


def _adapter_tensors(learner: Trained) -> dict[str, Tensor]:
    return {f"adapters/{name}": tensor for name, tensor in learner.adapted.items()}


def _critic_state(learner: Trained) -> dict[str, Tensor]:
    return {} if learner.critic is None else learner.critic.state_dict()


def _critic_tensors(learner: Trained) -> dict[str, Tensor]:
    return {f"{PREFIX}{name}": tensor for name, tensor in _critic_state(learner).items()}


def _room_for_optimizer(learner: Trained, stored: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Tensors to read the stored optimiser state into, sharded as this learner's parameters.

    An entry that no optimiser of this learner keeps gets no room, and so is told as foreign.
    """
    own = dict(learner.model.named_parameters())
    room: dict[str, Tensor] = {}
    for entry, size in stored.items():
        section, _, rest = entry.partition("/")
        kind, _, place = rest.partition("/")
        key, _, name = place.partition("/")
        if section != "optimizer" or name not in own or kind not in _kinds(learner):
            continue
        optimizer = learner.optimizer.optimizers[int(kind)][0]
        wanted = state_shapes(optimizer, own[name])
        whole = all(f"optimizer/{kind}/{other}/{name}" in stored for other in wanted)
        if whole and wanted.get(key) == size:
            room[entry] = torch.zeros_like(own[name].detach()) if size else torch.zeros(size)
    return room


def _kinds(learner: Trained) -> list[str]:
    return [str(kind) for kind in range(len(learner.optimizer.optimizers))]


def _into_optimizer(learner: Trained, state: dict[str, Tensor]) -> None:
    own = dict(learner.model.named_parameters())
    for optimizer, _ in learner.optimizer.optimizers:
        optimizer.state.clear()
    for entry, tensor in state.items():
        section, *rest = entry.split("/", 3)
        if section == "optimizer":
            kind, key, name = rest
            per_parameter: Any = learner.optimizer.optimizers[int(kind)][0].state
            per_parameter[own[name]][key] = tensor
