"""Settings of sampling and of the engines (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings


class SamplingSettings(Settings):
    """How responses are drawn. The defaults are the paper's for RL (T = 1, nothing truncated)."""

    temperature: float = Field(1.0, ge=0.0, description="0 means greedy")
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    top_k: int = Field(0, ge=0, description="0 means no limit")
    max_new_tokens: int = Field(256, ge=1)
    stop: tuple[str, ...] = Field(
        (), description="strings that end a response; left out of its text"
    )


class VllmSettings(Settings):
    """What only vLLM knows; the rest of its settings are those of EngineSettings."""

    gpu_memory_utilization: float = Field(
        0.9, gt=0.0, le=1.0, description="share of a GPU for weights and KV cache; lower if shared"
    )
    kv_cache_gib: float | None = Field(
        None, gt=0.0, description="KV memory per rank; None: 1 on a CPU, what is free on a GPU"
    )
    tensor_parallel_size: int = Field(1, ge=1, description="ranks that one model is cut over")
    max_model_len: int | None = Field(
        None, ge=2, description="prompt and response; None: the model's context"
    )
    enforce_eager: bool | None = Field(
        None, description="no compilation, no CUDA graphs; None: on a CPU only"
    )
    sleep: bool = Field(
        False, description="give the GPU's memory back between calls, to a learner that shares it"
    )
    transfer: Literal["auto", "file", "ipc", "nccl"] = Field(
        "auto", description="how new weights travel; auto: file on a CPU, ipc on a GPU"
    )
    timeout_s: float = Field(600.0, gt=0.0, description="longest wait for a weight update")


class EngineSettings(Settings):
    """What generates: transformers' own model code in this process, or vLLM beside it."""

    kind: Literal["embedded", "vllm"] = "embedded"
    device: str = Field("auto", description="vLLM takes the device it was built for")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_batch: int = Field(512, ge=1, description="sequences decoded together")
    max_kv_tokens: int = Field(
        262_144, ge=1, description="embedded: tokens of KV memory, prompts included"
    )
    prefill_tokens: int = Field(8192, ge=1, description="prompt tokens computed in one pass")
    native: bool = Field(
        True, description="embedded: small operations in C, where a compiler is at hand"
    )
    fast_modules: bool = Field(
        True, description="embedded: leaner forwards where they prove equal at load"
    )
    vllm: VllmSettings = VllmSettings()
