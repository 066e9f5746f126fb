"""Settings of `r1 pretrain` (torch-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings
from r1.learner.settings import OptimizerSettings


class BaseModelSettings(Settings):
    """The shape of a base model; input and output embeddings are the same weights."""

    architecture: Literal["qwen2", "llama"] = Field(
        "qwen2", description="model code of transformers that the base uses"
    )
    vocab_size: int = Field(1024, ge=300, description="tokens of the vocabulary")
    hidden_size: int = Field(128, ge=16, description="width of the layers")
    intermediate_size: int = Field(384, ge=16, description="width inside a layer's MLP")
    num_layers: int = Field(4, ge=1, description="transformer layers")
    num_heads: int = Field(4, ge=1, description="attention heads of a layer")
    num_kv_heads: int = Field(
        2, ge=1, description="heads with keys and values of their own (grouped-query attention)"
    )
    max_position_embeddings: int = Field(1024, ge=64, description="longest context, in tokens")
    rope_theta: float = Field(10_000.0, gt=0.0, description="base of the rotary embeddings")


class PretrainRecipe(Settings):
    """A small base model made from scratch: its shape, its data and its training."""

    seed: int = Field(0, ge=0, description="decides documents and first weights")
    num_steps: int = Field(3000, ge=1, description="optimiser steps")
    tokens_per_step: int = Field(
        8192, ge=32, description="documents are drawn for a step until they have so many tokens"
    )
    tokens_per_microbatch: int = Field(
        4096, ge=32, description="most tokens of one forward and backward pass"
    )
    tokenizer_documents: int = Field(
        20_000, ge=100, description="documents that the tokenizer is made from"
    )
    checkpoint_every: int = Field(250, ge=1, description="steps from one checkpoint to the next")
    num_threads: int = Field(0, ge=0, description="CPU threads; 0 leaves the number to torch")
    model: BaseModelSettings = BaseModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
