"""learner.pt, a learner's state beside its weights: equal states are pickled into equal bytes.

Pickle writes a repeated object once and refers to it afterwards, so that a state which was loaded
(its strings are copies) gives other bytes than the same state that never left memory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from r1.errors import UserError
from r1.files.regular import check_regular

STATE_FILE = "learner.pt"


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state into a checkpoint's folder."""
    torch.save(canonical(state), folder / STATE_FILE)


def read_state(folder: Path) -> dict[str, Any]:
    """Read it again, onto the CPU; UserError where the file is missing or damaged.

    Whoever takes the tensors up moves them to their device: AdamW leaves its counts of steps on the
    CPU, where reading one waits for no GPU.
    """
    file = folder / STATE_FILE
    if not file.exists():
        raise UserError(f"{folder} has no {STATE_FILE}: it is a model, not a learner's checkpoint.")
    state = read_tensors(file)
    if missing := {"optimizer", "step"} - state.keys():
        raise UserError(f"{file} holds no {sorted(missing)[0]}; it is no learner's state.")
    return state


def read_tensors(file: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """A dictionary that torch.save wrote; UserError where the file is damaged or holds more than
    tensors and plain values, which would run code on being read."""
    check_regular(file)
    try:
        state = torch.load(file, map_location=device, weights_only=True)
    # torch.load walks zip archives and old pickles: KeyError, TypeError, zlib and struct errors.
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(
            f"{file} is damaged or not written by r1: {reason[:300]} Put the file back, or remove "
            "the checkpoint's folder to go back to the one before it."
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"{file} holds a {type(state).__name__}, no learner's state; put it back.")
    return state


def canonical(state: Any) -> Any:
    """A copy of nested containers in which equal strings are one object and tuples are fresh."""
    if isinstance(state, dict):
        return {canonical(key): canonical(value) for key, value in state.items()}
    if isinstance(state, list):
        return [canonical(value) for value in state]
    if isinstance(state, tuple):
        return tuple([canonical(value) for value in state])
    return sys.intern(state) if type(state) is str else state
