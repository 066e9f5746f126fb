"""Start vLLM with the settings that make it an engine of r1."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from r1.errors import UserError
from r1.files.tensors import read_header
from r1.models.load import longrope_limit, read_config
from r1.rollout.settings import EngineSettings
from r1.rollout.vllm_weights import Transfer, backend_of, make_transfer

_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",  # vLLM reports its use to its makers otherwise
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork of a process whose torch has threads hangs
    "TOKENIZERS_PARALLELISM": "false",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}
_CPU_BLOCK = 32  # tokens; vLLM's own 128 there would share no prompt shorter than that
_CPU_CACHE_GIB = 1.0


def empty_model(path: str | Path) -> Any:
    """Return the model without memory (device "meta"): names, shapes, ties, end tokens."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(read_config(path))
    with contextlib.suppress(OSError):
        model.generation_config = GenerationConfig.from_pretrained(str(path))
    return model


def own_dtype(path: str | Path) -> Any:
    """Return the checkpoint's dtype, as the embedded engine; vLLM's "auto" would halve fp32."""
    return getattr(read_config(path), "dtype", None) or "auto"


def check_names(path: str | Path, names: Iterable[str]) -> None:
    """Raise UserError if transformers names the weights differently from the checkpoint.

    vLLM reads checkpoints; it passes over names that are in none. Experts that transformers joins
    into one tensor are such. A hub id is not looked up.
    """
    stored: set[str] = set()
    for file in Path(path).glob("*.safetensors"):
        stored |= read_header(file).keys()
    strange = sorted(set(names) - stored) if stored else []
    if strange:
        raise UserError(
            f"{path}: transformers names {len(strange)} weights otherwise than the checkpoint does "
            f"(first: {strange[0]}), so the vLLM engine cannot pass new ones on: train with "
            'engine.kind = "embedded"'
        )


def load_vllm(path: str | Path, settings: EngineSettings) -> tuple[Any, Transfer]:
    """Return a `vllm.LLM` with r1's log-probabilities, and a transfer for its weights."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("vllm").setLevel(logging.ERROR)  # it speaks before it reads the above
    on_gpu = torch.cuda.is_available()
    backend = backend_of(settings.vllm, on_gpu)
    if backend == "ipc":
        os.environ["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "1"  # IPC handles travel pickled
    from vllm import LLM

    if not on_gpu:
        _share_cpus(settings.vllm.tensor_parallel_size)
    dtype = settings.dtype if settings.dtype != "auto" else own_dtype(path)
    llm = LLM(str(path), dtype=dtype, **_arguments(path, settings, on_gpu, backend))
    llm.collective_rpc("r1_prepare")
    return llm, make_transfer(backend, llm, settings.vllm)


def _share_cpus(ranks: int) -> None:
    """Let several ranks share a CPU's memory node, each with a part of the threads.

    vLLM binds every rank to a node of its own and refuses to start where there are fewer. The
    user's own settings are kept.
    """
    from vllm.utils.cpu_resource_utils import get_visible_memory_node

    if ranks > len(get_visible_memory_node()):
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        num_threads = max(1, len(os.sched_getaffinity(0)) // ranks)
        os.environ.setdefault("OMP_NUM_THREADS", str(num_threads))


def _arguments(
    path: str | Path, settings: EngineSettings, on_gpu: bool, backend: str
) -> dict[str, Any]:
    own = settings.vllm
    arguments: dict[str, Any] = {
        "tensor_parallel_size": own.tensor_parallel_size,
        "max_model_len": own.max_model_len or longrope_limit(read_config(path)),
        "max_num_seqs": settings.max_batch,
        "max_num_batched_tokens": max(settings.prefill_tokens, settings.max_batch),
        "enforce_eager": not on_gpu if own.enforce_eager is None else own.enforce_eager,
        "enable_prefix_caching": True,
        "logprobs_mode": "processed_logprobs",
        "worker_extension_cls": "r1.rollout.vllm_worker.WorkerExtension",
        "generation_config": "vllm",  # no sampling defaults from the checkpoint
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if own.tensor_parallel_size > 1:
        # vLLM would take Ray's actors where it finds itself in one: r1's placement is for one.
        arguments["distributed_executor_backend"] = "mp"
    if on_gpu:
        arguments["gpu_memory_utilization"] = own.gpu_memory_utilization
        arguments["enable_sleep_mode"] = own.sleep
    else:
        arguments["block_size"] = _CPU_BLOCK
    cache = own.kv_cache_gib or (None if on_gpu else _CPU_CACHE_GIB)
    if cache is not None:
        arguments["kv_cache_memory_bytes"] = int(cache * 2**30)
    if backend != "file":
        from vllm.config import WeightTransferConfig

        arguments["weight_transfer_config"] = WeightTransferConfig(backend=backend)
    return arguments
