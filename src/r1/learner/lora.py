"""Low-rank adapters through peft, injected into the model in place.

The base weights stay frozen; what leaves the learner (to the engine, to a checkpoint) is merged:
W + scale * B A. A reward model's head, which begins at random, learns with them, as it is. Over
ranks the adapters are sharded as the weights beside them are. Left out on purpose: several
adapters, adapters on embeddings or the output head.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel

from r1.errors import UserError, install_extra
from r1.learner.modes import TORCH_SEEDS
from r1.learner.ranks import Ranks
from r1.learner.settings import LoraSettings
from r1.learner.sharded import whole

ADAPTER = "default"
logger = logging.getLogger(__name__)


def attach(
    model: PreTrainedModel, settings: LoraSettings, seed: int, head: nn.Module | None = None
) -> None:
    """Inject adapters and freeze everything else; `seed` decides their first values.

    model: not sharded yet; where it has shapes and no values ("meta"), so have its adapters.
    head: a layer that gets no adapter and learns whole.

    Raises UserError when peft is absent or the target modules match nothing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError(f"learner.lora needs peft: {install_extra('lora')}.") from None
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
        torch.manual_seed(seed % TORCH_SEEDS)
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            raise UserError(f"learner.lora.target_modules = {targets!r}: {error}") from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    if targets == "all-linear":
        _tell_of_left_out(model, chosen)
    if model.device.type == "meta":
        nn.Module.to(model, device="meta")
    if head is not None:
        head.requires_grad_(True)


def _tell_of_left_out(model: PreTrainedModel, chosen: Sequence[str]) -> None:
    """Warn of linear layers without an adapter.

    Where a model's experts are stacked weights, peft takes the names of their projections for those
    weights alone; dense layers and shared experts of the same names then have no adapter.
    """
    modules = dict(model.named_modules())
    missing = [name for name in chosen if not hasattr(modules[name], "lora_A")]
    if missing:
        logger.warning(
            "peft gives no adapter to %d of %d linear layers of %s (%s, ...), whose names it takes "
            "for the stacked weights of the experts; these layers do not learn",
            len(missing),
            len(chosen),
            type(model).__name__,
            missing[0],
        )


def seed_dropout(settings: LoraSettings | None, ranks: Ranks, seed: int) -> None:
    """Let `seed` decide what the adapters' dropout leaves out, if there is any: on every rank
    something else. The weights then depend on the number of ranks."""
    if settings is not None and settings.dropout > 0:
        torch.manual_seed((seed + 0x9E3779B97F4A7C15 * ranks.index) % TORCH_SEEDS)


class MergedParameters:
    """Every parameter under its Hugging Face name, whole, adapters merged; works without adapters
    too.

    A merged matrix is computed when its turn comes and kept by nobody, so that there is never a
    second model; one can go through all of them again. Sharded ones are gathered when their turn
    comes: all ranks must go through all of them together.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        adapted: dict[str, nn.Module] = {}
        for name, module in self._model.named_modules():
            if hasattr(module, "get_delta_weight"):
                # peft wraps the stacked weights of experts, which are parameters and no modules.
                kind = getattr(module, "parameter_name", "weight")
                adapted[f"{plain_name(name)}.{kind}"] = module
        for name, parameter in self._model.named_parameters():
            if "lora_" not in name:
                yield plain_name(name), _merged(parameter, adapted.get(plain_name(name)))


@torch.no_grad()  # around one tensor: a generator that waits inside would switch gradients off
def _merged(parameter: nn.Parameter, adapter: nn.Module | None) -> Tensor:
    value = whole(parameter.detach())
    if adapter is None:
        return value
    own = {f"adapter.{n}": whole(p.detach()) for n, p in adapter.named_parameters() if _is_own(n)}
    return value + functional_call(_Delta(adapter), own, ())


class _Delta(nn.Module):
    """What an adapter adds to its weight, as a function of the adapter's parameters."""

    def __init__(self, adapter: Any) -> None:
        super().__init__()
        self.adapter = adapter

    def forward(self) -> Tensor:
        delta: Tensor = self.adapter.get_delta_weight(ADAPTER)
        return delta


def _is_own(name: str) -> bool:
    return name.startswith("lora_")


@torch.no_grad()
def merged_model(model: PreTrainedModel) -> PreTrainedModel:
    """A plain model on the CPU with the adapters merged, as it is to be saved."""
    plain: PreTrainedModel = type(model)(copy.deepcopy(model.config))
    plain.to(dtype=model.dtype)  # type: ignore[call-arg]
    if model.can_generate():  # it may name end tokens that the config does not
        plain.generation_config = copy.deepcopy(model.generation_config)
    own = {**dict(plain.named_parameters()), **dict(plain.named_buffers())}
    buffers = [(plain_name(name), buffer) for name, buffer in model.named_buffers()]
    for name, tensor in chain(MergedParameters(model), buffers):
        own[name].copy_(tensor)
    return plain


def adapter_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The adapters' tensors alone, by their names in the model."""
    return {n: p.detach() for n, p in model.named_parameters() if "lora_" in n}


def plain_name(name: str) -> str:
    """The name that a parameter has without adapters."""
    return name.replace(".base_layer", "")


def _linear_names(model: PreTrainedModel, head: nn.Module | None) -> list[str]:
    ends = (head, model.get_output_embeddings())
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(module is end for end in ends)
    ]
