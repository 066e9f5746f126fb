"""Check new weights against the model before any is copied or sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from r1.errors import UserError


def fitting_weights(
    model: Any, weights: Iterable[tuple[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """Return (Hugging Face name, tensor) pairs as a dictionary; raises as `check_weights`."""
    given = dict(weights)
    check_weights(model, {name: tensor.shape for name, tensor in given.items()})
    return given


def check_weights(model: Any, given: Mapping[str, torch.Size]) -> None:
    """Raise UserError that lists missing, unexpected and mis-shaped names.

    given: Hugging Face name -> shape. model may be on "meta". Tied weights may come under either
    name or under both; buffers may be left out.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    own = parameters | dict(model.named_buffers(remove_duplicate=False))
    unexpected = sorted(given.keys() - own.keys())
    covered = {id(own[name]) for name in given if name in own}
    missing = sorted(name for name, p in model.named_parameters() if id(p) not in covered)
    misshaped = sorted(
        f"{name} {tuple(shape)} instead of {tuple(own[name].shape)}"
        for name, shape in given.items()
        if name in own and shape != own[name].shape
    )
    problems = [
        f"{title}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        for title, names in (
            ("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped)
        )
        if names
    ]  # fmt: skip
    if problems:
        raise UserError("weights do not fit the engine's model; " + "; ".join(problems))


def once_each(model: Any, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return one tensor per parameter, in the model's order and under its first name.

    given: as `fitting_weights` returns it. Buffers and the second names of tied weights are gone.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        names[id(p)]: given[name]
        for name, p in model.named_parameters(remove_duplicate=False)
        if name in given
    }
    return {name: found[name] for name in names.values()}
