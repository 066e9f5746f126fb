"""Settings of sampling and of the engines (torch-free)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from r1.config import Settings
from r1.errors import install_extra


class SamplingSettings(Settings):
    """How responses are sampled. The defaults are the paper's for RL (T = 1, no truncation)."""

    temperature: float = Field(
        1.0, ge=0.0, description="divides the logits before the softmax; 0 is greedy decoding"
    )
    top_p: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="sample from the most likely tokens that together have this probability",
    )
    top_k: int = Field(
        0, ge=0, description="sample from so many of the most likely tokens; 0: from all"
    )
    max_new_tokens: int = Field(256, ge=1, description="longest response, in tokens")
    stop: tuple[str, ...] = Field(
        (), description="texts that end a response; they are not part of it"
    )


class VllmSettings(Settings):
    """Settings of vLLM alone; all others come from the engine's settings."""

    gpu_memory_utilization: float = Field(
        0.9,
        gt=0.0,
        le=1.0,
        description="share of the GPU's memory for weights and KV cache; lower it where a learner "
        "shares the GPU",
    )
    kv_cache_gib: float | None = Field(
        None,
        gt=0.0,
        description="KV cache of one rank, in GiB; by default 1 on a CPU, all that is free on a "
        "GPU",
    )
    tensor_parallel_size: int = Field(
        1, ge=1, description="ranks (GPUs) that one copy of the model is split over"
    )
    max_model_len: int | None = Field(
        None,
        ge=2,
        description="longest prompt and response together, in tokens; by default the model's "
        "context",
    )
    enforce_eager: bool | None = Field(
        None,
        description="run without compilation and CUDA graphs; by default on a CPU only",
    )
    sleep: bool = Field(
        False,
        description="give the GPU's memory back between two batches, to a learner that shares it",
    )
    transfer: Literal["auto", "file", "ipc", "nccl"] = Field(
        "auto",
        description='how new weights reach the engine; "auto" is "ipc" on one GPU, else "file"; '
        '"ipc" is for one GPU, "nccl" for a learner without [cluster] on another GPU',
    )


class EngineSettings(Settings):
    """The sampling engine: transformers' own model code in this process, or vLLM beside it."""

    prefill_tokens: ClassVar[int] = 8192
    """Most prompt tokens in one forward pass, which bounds its memory."""
    settled: ClassVar = {"prefill_tokens": prefill_tokens}
    prefix_share: ClassVar[float] = 0.25
    """Tokens of prefixes that a search keeps, as a share of max_kv_tokens and beside them."""

    kind: Literal["embedded", "vllm"] = Field(
        "embedded", description=f"the shipped engine, or vLLM ({install_extra('vllm')})"
    )
    device: str = Field(
        "auto",
        description='"cpu", "cuda" or "cuda:N"; "auto" takes a GPU where there is one. vLLM takes '
        "the device it was built for",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description='number format of the weights; "auto": the checkpoint\'s own'
    )
    max_batch: int = Field(512, ge=1, description="sequences decoded together")
    max_kv_tokens: int = Field(
        262_144,
        ge=1,
        description="size of the KV cache in tokens, prompts included (a search keeps prefixes, a "
        "quarter of that, beside it); embedded engine only",
    )
    native: bool = Field(
        True,
        description="run small operations in C where a compiler is at hand; embedded engine in "
        "float32 on a CPU only",
    )
    vllm: VllmSettings = VllmSettings()
