"""Random small models and a byte-level tokenizer in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

ARCHITECTURES = ("qwen2", "qwen3", "llama", "deepseek_v3")
PAD, EOS = "<pad>", "<eos>"
CHATML = (
    "{%- for m in messages -%}<|{{ m['role'] }}|>{{ m['content'] }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
"""A chat template, as the bases of some families bring one."""
SMOOTH_EPSILON = 1e-2
"""AdamW's epsilon where weights of two computations are compared after a step.

With 1e-8 a step has the full size of the learning rate however small the gradient, so the rounding
of a gradient near zero, which differs by processor, becomes a difference of full size. With this
one it stays near lr / SMOOTH_EPSILON times the rounding.
"""


def tiny_config(arch: str, vocab_size: int = 258, **changes: object) -> PreTrainedConfig:
    """A config of some 50k-200k parameters; `changes` override any of its fields."""
    shared: dict[str, object] = {
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }
    own: dict[str, dict[str, object]] = {
        "qwen2": {},
        "qwen3": {"head_dim": 24},
        "llama": {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
        "deepseek_v3": {
            "num_hidden_layers": 3,
            "num_key_value_heads": 4,
            "q_lora_rank": 32,
            "kv_lora_rank": 24,
            "qk_nope_head_dim": 16,
            "qk_rope_head_dim": 8,
            "v_head_dim": 12,
            "first_k_dense_replace": 1,
            "n_routed_experts": 4,
            "num_local_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "n_group": 2,
            "topk_group": 1,
            "moe_intermediate_size": 32,
            "tie_word_embeddings": False,
        },
    }
    return AutoConfig.for_model(arch, **{**shared, **own.get(arch, {}), **changes})


def make_model(
    arch: str, vocab_size: int = 258, seed: int = 0, scale: float = 6.0, **changes: object
) -> PreTrainedModel:
    """A random fp32 model in evaluation mode.

    scale multiplies the initial matrices, so that its predictions are far from uniform and a
    wrong mask or position shows.
    """
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(
        tiny_config(arch, vocab_size, **changes), dtype=torch.float32
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(scale)
    return model.eval()


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level fast tokenizer: 256 bytes plus <pad> (0) and <eos> (1), no merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {PAD: 0, EOS: 1} | {symbol: 2 + i for i, symbol in enumerate(alphabet)}
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS)


def save_small_model(folder: Path, arch: str = "qwen2", **changes: object) -> Path:
    """Write a random model and the byte tokenizer to `folder`; return the folder."""
    make_model(arch, **changes).save_pretrained(folder)  # type: ignore[arg-type]
    make_tokenizer().save_pretrained(folder)
    return folder
