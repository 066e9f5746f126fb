"""Low-rank adapters through peft, injected into the model in place.

The base weights stay frozen; what leaves the learner (to the engine, to a checkpoint) is merged:
W + scale * B A. Left out on purpose: several adapters, adapters on embeddings or the output head.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from r1.errors import UserError
from r1.learner.settings import LoraSettings

ADAPTER = "default"


def attach(model: PreTrainedModel, settings: LoraSettings, seed: int) -> None:
    """Inject adapters and freeze everything else; `seed` decides their first values.

    Raises UserError when peft is absent or the target modules match nothing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError('learner.lora needs peft: pip install "r1[lora]".') from None
    targets = settings.target_modules
    chosen = _linear_names(model) if targets == "all-linear" else targets
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


@torch.no_grad()
def merged_parameters(model: PreTrainedModel) -> list[tuple[str, Tensor]]:
    """Every parameter under its Hugging Face name, adapters merged; works without adapters too.

    A list, not a generator: suspended inside no_grad, it would switch gradients off for everyone.
    """
    deltas: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            # peft wraps the stacked weights of experts, which are parameters and no modules.
            kind = getattr(module, "parameter_name", "weight")
            deltas[f"{_plain(name)}.{kind}"] = module.get_delta_weight(ADAPTER)
    merged = []
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            delta = deltas.get(_plain(name))
            merged.append(
                (_plain(name), parameter.detach() if delta is None else parameter + delta)
            )
    return merged


@torch.no_grad()
def merged_model(model: PreTrainedModel) -> PreTrainedModel:
    """A plain model on the CPU with the adapters merged, as it is to be saved."""
    plain: PreTrainedModel = type(model)(copy.deepcopy(model.config))
    plain.to(dtype=model.dtype)  # type: ignore[call-arg]
    own = {**dict(plain.named_parameters()), **dict(plain.named_buffers())}
    buffers = [(_plain(name), buffer) for name, buffer in model.named_buffers()]
    for name, tensor in [*merged_parameters(model), *buffers]:
        own[name].copy_(tensor)
    return plain


def adapter_parameters(model: PreTrainedModel) -> dict[str, Tensor]:
    """The trained tensors alone, by their names in the model."""
    return {n: p.detach() for n, p in model.named_parameters() if "lora_" in n}


def _plain(name: str) -> str:
    return name.replace(".base_layer", "")


def _linear_names(model: PreTrainedModel) -> list[str]:
    head = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    ]
