"""learner.pt, a learner's state beside its weights: equal states are pickled into equal bytes.

Pickle writes a repeated object once and refers to it afterwards, so that a state which was loaded
(its strings are copies) gives other bytes than the same state that never left memory.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired

import torch
from pydantic import Field, InstanceOf
from torch import Tensor
from typing_extensions import TypedDict

from r1.errors import UserError, lacks_memory
from r1.files.json_text import FormatError
from r1.files.regular import check_regular
from r1.files.shapes import fitted, open_shape

STATE_FILE = "learner.pt"
Tensors = dict[str, InstanceOf[Tensor]]
Updates = Annotated[int, Field(ge=0, lt=1 << 53)]


@open_shape
class ParameterGroup(TypedDict):
    """One of an optimiser's groups, in its state_dict(); hyperparameters are the settings'."""

    params: list[int]


class OptimizerState(TypedDict):
    """state_dict() of one optimiser."""

    state: dict[int, Tensors]
    param_groups: list[ParameterGroup]


@open_shape
class LearnerState(TypedDict):
    """learner.pt"""

    step: Updates
    optimizer: list[OptimizerState]
    reference: NotRequired[Tensors | None]
    adapters: NotRequired[Tensors]
    critic: NotRequired[Tensors]


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state into a checkpoint's folder."""
    torch.save(canonical(state), folder / STATE_FILE)


def read_state(folder: Path) -> LearnerState:
    """Read it again, onto the CPU; UserError where it is missing, damaged or of another shape.

    Whoever takes the tensors up moves them to their device: AdamW leaves its counts of steps on the
    CPU, where reading one waits for no GPU.
    """
    file = folder / STATE_FILE
    if not file.exists():
        raise UserError(f"{folder} has no {STATE_FILE}: it is a model, not a learner's checkpoint.")
    return read_tensors(file, LearnerState)


def read_tensors(file: Path, shape: Any, device: torch.device | str = "cpu") -> Any:
    """A dictionary that torch.save wrote, of the given shape; UserError where the file is damaged,
    of another shape, does not fit into memory, or holds more than tensors and plain values: reading
    that would run code."""
    check_regular(file)
    try:
        state = torch.load(file, map_location=device, weights_only=True)
    # Broad: torch.load walks zip archives and old pickles, whose opcodes call what they like with
    # anything: besides its own errors KeyError, TypeError, AssertionError, zlib and struct errors.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        if lacks_memory(error):
            raise UserError(
                f"{file} ({file.stat().st_size / 2**20:,.1f} MiB) does not fit into memory: end "
                "other programs, or carry on where there is more. If its size is far from what the "
                "model needs, it is damaged: remove the checkpoint's folder to go back to the one "
                "before it."
            ) from error
        raise damaged_state(file, f"is damaged or not written by r1: {reason[:300]}") from error
    try:
        return fitted(state, shape)
    except FormatError as fault:
        raise damaged_state(file, f"is no learner's state ({fault})") from None


def check_fits(file: Path, stored: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """UserError unless both have the same names, and what is stored can be copied into one's own.

    file: what the message names.
    """
    if odd := sorted(set(stored) ^ set(own)):
        raise damaged_state(file, f"is of another model or other settings ({odd[0][:200]!r})")
    for name, tensor in stored.items():
        if not is_plain(tensor) or tensor.shape != own[name].shape:
            raise damaged_state(file, f"holds {name[:200]!r} with another shape or kind of values")


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor that was read is dense, of floats, with a place for each of its values."""
    if tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def damaged_state(file: Path, what: str) -> UserError:
    """The error about a state that cannot be used, with its remedy."""
    return UserError(
        f"{file} {what}. Put the file back, or remove the checkpoint's folder to go back to the "
        "one before it."
    )


def canonical(state: Any) -> Any:
    """A copy of nested containers in which equal strings are one object and tuples are fresh."""
    if isinstance(state, dict):
        return {canonical(key): canonical(value) for key, value in state.items()}
    if isinstance(state, list):
        return [canonical(value) for value in state]
    if isinstance(state, tuple):
        return tuple([canonical(value) for value in state])
    return sys.intern(state) if type(state) is str else state
