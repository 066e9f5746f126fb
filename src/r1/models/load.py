"""Load and save causal language models and tokenizers in the Hugging Face layout.

Model definitions are transformers' own. What is added here are checks that turn a broken or foreign
folder into a UserError before anything starts, since transformers answers them with a traceback, a
network request or randomly initialised weights.

Left out on purpose: quantised checkpoints, pickle weights (`pytorch_model.bin`) and models whose
code lives in the checkpoint (`trust_remote_code`).
"""

from __future__ import annotations

import copy
import json
import logging
import struct
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from r1.errors import UserError
from r1.models.hub import require_hub
from r1.models.opening_token import write_bos

logger = logging.getLogger(__name__)
transformers_logging.disable_progress_bar()

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float64": torch.float64,
}


def resolve_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device; UserError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f'device "{name}" is unknown; use "auto", "cpu" or "cuda".') from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise UserError(
                f'device "{name}" is not available: this machine has {count} CUDA devices; '
                'use "auto" or "cpu".'
            )
    return device


def load_model(
    path: str | Path,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "cpu",
    attn_implementation: str = "sdpa",
) -> PreTrainedModel:
    """Load a causal language model for evaluation (dropout off) on one device.

    path: a folder in the Hugging Face layout, or a hub id when no such folder exists.
    dtype: "auto" takes the checkpoint's own. device: on "meta" it has shapes alone.
    Raises UserError for a folder without config.json, with missing or truncated weights, with an
    unknown architecture, or with weights that do not fill the model.
    """
    name = str(path)
    check_model_folder(path)
    wanted = dtype if isinstance(dtype, torch.dtype) or dtype == "auto" else DTYPES[dtype]
    place = resolve_device(device) if isinstance(device, str) else device
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=wanted,
            attn_implementation=attn_implementation,
            output_loading_info=True,
            **meta_only(place),
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot load a causal language model from {name}: {error}") from error
    model, info = loaded
    missing = sorted(set(info["missing_keys"]) - _tied_names(model))
    if missing:
        raise UserError(
            f"{name}: the weights lack {len(missing)} tensors the architecture needs "
            f"(first: {missing[0]}); the checkpoint is incomplete or of another architecture."
        )
    return model.to(place).eval()


def meta_only(device: torch.device) -> dict[str, str]:
    """What tells from_pretrained to read no weights, where a model is loaded on "meta"."""
    return {"device_map": "meta"} if device.type == "meta" else {}


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer; a missing pad token becomes the end token, a lost BOS is written.

    Raises UserError when there is no tokenizer, it is not a fast one, or it has no end token.
    """
    name = str(path)
    folder = Path(path)
    if folder.is_dir() and not any(
        (folder / file).exists() for file in ("tokenizer.json", "tokenizer_config.json")
    ):
        raise UserError(f"{name} has no tokenizer.json; copy the base model's here.")
    try:
        tokenizer = _tokenizer_class(folder).from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot load a tokenizer from {name}: {error}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"{name}: only fast tokenizers (tokenizer.json) are supported.")
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{name}: the tokenizer has no end token, so no response could ever end; "
            'set "eos_token" in its tokenizer_config.json.'
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if write_bos(tokenizer, path):
        logger.warning(
            "%s: the tokenizer does not write %s, with which this model's texts begin; it is "
            "added. To leave it out, set add_bos_token = false in tokenizer_config.json.",
            name,
            tokenizer.bos_token,
        )
    return tokenizer


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Raise UserError when the tokenizer has ids that the model has no embedding for."""
    rows = model.get_input_embeddings().weight.size(0)  # type: ignore[operator, union-attr]
    if len(tokenizer) > rows:
        raise UserError(
            f"the tokenizer has {len(tokenizer)} tokens but the model embeds only {rows}: "
            "they do not belong together; use the tokenizer saved with the model."
        )


def absolute_model(model: str | Path) -> str:
    """A model's folder as any working folder finds it; a hub id as it is."""
    return str(Path(model).resolve()) if Path(model).exists() else str(model)


def context_of(path: str | Path) -> int:
    """How many tokens a model's positions reach, from its config alone."""
    return int(AutoConfig.from_pretrained(path).max_position_embeddings)


def check_max_tokens(max_tokens: int | None, path: str | Path, otherwise: str = "") -> int:
    """batch.max_tokens of a recipe, by default the model's context; UserError where it is above.

    otherwise: what the user may do instead of lowering it.
    """
    context = context_of(path)
    if max_tokens is not None and max_tokens > context:
        raise UserError(
            f"batch.max_tokens = {max_tokens} is more than the model's context of {context} "
            f"tokens; lower it to {context}{otherwise}."
        )
    return max_tokens or context


def save_model(
    model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None
) -> None:
    """Write config.json and safetensors weights (and the tokenizer) straight into `folder`.

    Atomicity (temporary name, flush, rename) belongs to the caller, r1.run_dir.
    """
    folder.mkdir(parents=True, exist_ok=True)
    implementation = model.config._attn_implementation
    model.config._attn_implementation = "sdpa"
    try:
        model.save_pretrained(folder)
    finally:
        model.config._attn_implementation = implementation
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def save_description(
    model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None
) -> None:
    """Write everything of a model but its weights: config, generation config, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = copy.deepcopy(model.config)
    config._attn_implementation = "sdpa"
    # FSDP2 renames the class of what it shards.
    config.architectures = [type(model).__name__.removeprefix("FSDP")]
    config.dtype = str(model.dtype).removeprefix("torch.")
    config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def check_model_folder(path: str | Path) -> None:
    """Refuse a local folder that is no complete checkpoint; a hub id passes untouched."""
    folder = Path(path)
    if not folder.exists():
        if folder.is_absolute() or str(path).startswith(".") or str(path).count("/") != 1:
            raise UserError(f"model {path} does not exist; give a folder or a hub id (owner/name).")
        require_hub(str(path))
        return
    if not folder.is_dir():
        raise UserError(f"model {path} is a file; give the folder that holds config.json.")
    config_file = folder / "config.json"
    if not config_file.exists():
        raise UserError(f"{path} has no config.json; it is not a model in the Hugging Face layout.")
    _check_architecture(folder, config_file)
    for shard in _weight_files(folder):
        _check_safetensors(shard)


def _check_architecture(folder: Path, config_file: Path) -> None:
    try:
        values = json.loads(config_file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{config_file} is not valid JSON: {error}") from None
    kind = values.get("model_type")
    try:
        config = AutoConfig.from_pretrained(folder)
    except StrictDataclassError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{config_file}: what it says does not go together: {reason}") from error
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{config_file}: transformers does not know the architecture {kind!r} "
            f"({str(error).splitlines()[0]})"
        ) from error
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise UserError(f"{config_file}: {kind!r} is not a causal language model.")


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (json.JSONDecodeError, KeyError, AttributeError) as error:
            raise UserError(f"{index} is damaged: {error}") from None
        absent = [name for name in names if not (folder / name).exists()]
        if absent:
            raise UserError(f"{folder} lacks the weight file {absent[0]}; copy it there.")
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if not single.exists():
        raise UserError(f"{folder} has no model.safetensors; the weights are missing.")
    return [single]


def _check_safetensors(file: Path) -> None:
    """Compare the file's size with what its own header promises."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if 8 + length > size:
            raise UserError(f"{file} is truncated or no safetensors file; copy it again.")
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise UserError(f"{file} has a damaged header; copy it again.") from None
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise UserError(
            f"{file} has {size} bytes where its header promises {expected}; copy it again."
        )


def _tokenizer_class(folder: Path) -> Any:
    """The generic class where a folder's files ask for it, else transformers' choice.

    Trap: for some model types (qwen2) AutoTokenizer overrides a generic tokenizer_class by the
    type's own, which replaces the file's pre-tokenizer and adds tokens the model has no row for.
    """
    config = folder / "tokenizer_config.json"
    if (folder / "tokenizer.json").exists() and config.exists():
        try:
            kind = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class")
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{config} is not valid JSON: {error}") from None
        if kind in ("TokenizersBackend", "PreTrainedTokenizerFast"):
            return PreTrainedTokenizerFast
    return AutoTokenizer


def _tied_names(model: PreTrainedModel) -> set[str]:
    """Names that share storage with another parameter and so need no tensor of their own."""
    tied = getattr(model, "_tied_weights_keys", None) or {}
    return set(tied) if getattr(model.config, "tie_word_embeddings", False) else set()
