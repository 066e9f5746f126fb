"""Low-rank adapters through peft, injected into the model in place.

The base weights stay frozen; what leaves the learner (to the engine, to a checkpoint) is merged:
W + scale * B A. A reward model's head, which begins at random, learns with them, as it is. Left out
on purpose: several adapters, adapters on embeddings or the output head.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from r1.errors import UserError
from r1.learner.ranks import Ranks
from r1.learner.settings import LoraSettings

ADAPTER = "default"


def check_alone(settings: LoraSettings | None, ranks: Ranks) -> None:
    """Raise UserError for adapters over several ranks."""
    if settings is not None and ranks.sharded:
        raise UserError(
            "learner.lora runs in one process only; leave out [learner.lora] or [cluster]."
        )


def attach(
    model: PreTrainedModel, settings: LoraSettings, seed: int, head: nn.Module | None = None
) -> None:
    """Inject adapters and freeze everything else; `seed` decides their first values.

    head: a layer that gets no adapter and learns whole.

    Raises UserError when peft is absent or the target modules match nothing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError('learner.lora needs peft: pip install "r1[lora]".') from None
    targets = settings.target_modules
    chosen = _linear_names(model, head) if targets == "all-linear" else targets
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=chosen if isinstance(chosen, str) else list(chosen),
        task_type=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            raise UserError(f"learner.lora.target_modules = {targets!r}: {error}") from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if head is not None:
        head.requires_grad_(True)


def seed_dropout(settings: LoraSettings | None, seed: int, step: int) -> None:
    """Let `seed` and the step decide what the adapters' dropout leaves out, if there is any."""
    if settings is not None and settings.dropout > 0:
        torch.manual_seed(seed * 1_000_003 + step)


class MergedParameters:
    """Every parameter under its Hugging Face name, adapters merged; works without adapters too.

    A merged matrix is computed when its turn comes and kept by nobody, so that there is never a
    second model; one can go through all of them again.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        adapted: dict[str, nn.Module] = {}
        for name, module in self._model.named_modules():
            if hasattr(module, "get_delta_weight"):
                # peft wraps the stacked weights of experts, which are parameters and no modules.
                kind = getattr(module, "parameter_name", "weight")
                adapted[f"{_plain(name)}.{kind}"] = module
        for name, parameter in self._model.named_parameters():
            if "lora_" not in name:
                yield _plain(name), _merged(parameter, adapted.get(_plain(name)))


@torch.no_grad()  # around one tensor: a generator that waits inside would switch gradients off
def _merged(parameter: nn.Parameter, adapter: Any) -> Tensor:
    return parameter.detach() if adapter is None else parameter + adapter.get_delta_weight(ADAPTER)


@torch.no_grad()
def merged_model(model: PreTrainedModel) -> PreTrainedModel:
    """A plain model on the CPU with the adapters merged, as it is to be saved."""
    plain: PreTrainedModel = type(model)(copy.deepcopy(model.config))
    plain.to(dtype=model.dtype)  # type: ignore[call-arg]
    own = {**dict(plain.named_parameters()), **dict(plain.named_buffers())}
    buffers = [(_plain(name), buffer) for name, buffer in model.named_buffers()]
    for name, tensor in chain(MergedParameters(model), buffers):
        own[name].copy_(tensor)
    return plain


def adapter_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The adapters' tensors alone, by their names in the model."""
    return {n: p.detach() for n, p in model.named_parameters() if "lora_" in n}


def _plain(name: str) -> str:
    return name.replace(".base_layer", "")


def _linear_names(model: PreTrainedModel, head: nn.Module | None) -> list[str]:
    ends = (head, model.get_output_embeddings())
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(module is end for end in ends)
    ]
