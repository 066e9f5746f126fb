"""The adapters of a run with LoRA as peft's own folder, apart from the base they belong to.

A reward model's adapters have its head beside them, which learnt whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from r1.errors import UserError, install_extra
from r1.learner.state import read_state
from r1.reward_model.model import HEAD_FILE

HEAD = "score"
"""A reward model's head, in transformers' classes and in peft's files."""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def write_adapter(checkpoint: Path, lora: Mapping[str, Any], base: str, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors.

    lora: the recipe's [learner.lora]. base: the hub id or folder that peft will load. Raises
    UserError where the checkpoint holds no adapters, without peft, and for a reward model whose
    head transformers has no place for.
    """
    adapters = read_state(checkpoint).get("adapters") or {}
    if not adapters:
        raise UserError(f"{checkpoint} holds no adapters; leave --adapter out: it is merged.")
    if (checkpoint / HEAD_FILE).exists():
        raise UserError(
            f"the head of the reward model {checkpoint} has no place in peft's files; leave "
            "--adapter out: it is merged."
        )
    try:
        from peft import LoraConfig
    except ImportError:
        raise UserError(f"--adapter needs peft: {install_extra('lora')}.") from None
    modules = sorted({name.partition(".lora_")[0] for name in adapters if ".lora_" in name})
    has_head = f"{HEAD}.weight" in adapters
    config = LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=modules,
        modules_to_save=[HEAD] if has_head else None,
        task_type="SEQ_CLS" if has_head else "CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    tensors = {_peft_name(name): tensor.contiguous() for name, tensor in adapters.items()}
    save_file(tensors, folder / ADAPTER_FILES[1], {"format": "pt"})


def _peft_name(name: str) -> str:
    """Return the name in peft's files: of the wrapped model, without the adapter's own name."""
    return f"base_model.model.{name.replace('.default.', '.')}"
