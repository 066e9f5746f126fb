"""Check a model's folder before a library opens it: every file regular, bounded, of a known shape.

transformers, tokenizers and safetensors open any file with the right name: a FIFO hangs them, the
index may name a weight file outside the folder, and a config of ten million layers is built layer
by layer before the missing weights are noticed.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from r1.errors import SettingError, UserError
from r1.files.regular import check_regular, read_bytes
from r1.files.shapes import Inside, open_shape, read_json
from r1.files.tensors import read_header

NO_MODEL = "it is not a model in the Hugging Face layout."
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
REWARD_MODEL_CARD = "reward_model.json"
"""Kept beside the weights of a reward model (r1.reward_model.card)."""
_CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification")
MAX_TOKENIZER_BYTES = 256 << 20
_HUGE = re.compile(rb'"\s*:\s*(\d{8,})')
"""A value of ten millions and more in tokenizer.json; the largest vocabularies have 0.3 million."""
_Size = Annotated[int, Field(ge=1, lt=1 << 31)]


@open_shape
class _Config(TypedDict, total=False):
    model_type: str
    hidden_size: _Size
    intermediate_size: _Size | list[_Size]
    num_hidden_layers: _Size
    num_attention_heads: _Size | list[_Size]
    num_key_value_heads: _Size | list[_Size] | None
    vocab_size: _Size
    max_position_embeddings: _Size


@open_shape
class _Generation(TypedDict, total=False):
    eos_token_id: int | list[int] | None
    pad_token_id: int | list[int] | None
    bos_token_id: int | list[int] | None


@open_shape
class _Index(TypedDict):
    weight_map: dict[str, Inside]


def check_files(folder: Path, weights: bool = False) -> str:
    """Check the files of a model's folder that libraries will read; return its model_type.

    weights: it must be a whole model, with config.json and weights as their headers promise.
    Raises UserError that names the file and the field.
    """
    for path in sorted(folder.iterdir()):
        # A folder (.cache, original) is not opened by anybody; a broken link is as no file.
        if path.exists() and not stat.S_ISDIR(path.stat().st_mode):
            check_regular(path)
    file = folder / "config.json"
    config = read_json(file, shape=_Config, finite=False)
    if config is None and weights:
        raise UserError(f"{folder} has no config.json; {NO_MODEL}")
    if (folder / "adapter_config.json").exists():
        raise UserError(
            f"{folder} holds an adapter (adapter_config.json), whose base is elsewhere; merge it "
            "into its base model and give the folder of that."
        )
    read_json(folder / "generation_config.json", shape=_Generation, finite=False)
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        read_json(folder / name, finite=False)
    _check_tokenizer(folder / "tokenizer.json")
    if weights:
        _check_weights(folder, config)
    return str((config or {}).get("model_type"))


def refuse_reward_model(model: str | Path) -> None:
    """Raise SettingError for the folder of a reward model, which has no next token to tell.

    A model's own config.json may say so too: `architectures` names a classifier.
    """
    folder = Path(model)
    config = read_json(folder / "config.json", {}, finite=False)
    named = config.get("architectures") or [""]
    classifies = isinstance(named, list) and str(named[0]).endswith(_CLASSIFIERS)
    if classifies or (folder / REWARD_MODEL_CARD).exists():
        raise SettingError(
            f"model {model} is a reward model and no language model; name the model it was "
            "trained from, or a run that samples."
        )


def weight_files(folder: Path) -> list[Path]:
    """Return a folder's weight files by its index. Raises UserError for a missing one."""
    index = read_json(folder / INDEX, shape=_Index)
    if index is None:
        if not (folder / SINGLE).exists():
            raise UserError(f"{folder} has no {SINGLE}; the weights are missing.")
        return [folder / SINGLE]
    names = sorted(set(index["weight_map"].values()))
    absent = [name for name in names if not (folder / name).exists()]
    if absent:
        raise UserError(f"{folder} lacks the weight file {absent[0]}; copy it there.")
    return [folder / name for name in names]


def _check_tokenizer(file: Path) -> None:
    """Raise UserError for a tokenizer that would hang the library, which counts up to the largest
    id."""
    try:
        content = read_bytes(file, MAX_TOKENIZER_BYTES)
    except FileNotFoundError:
        return
    if found := _HUGE.search(content):
        raise UserError(
            f"{file}: {found[1][:40].decode()} is no token's id and no length; copy the base "
            "model's here."
        )


def _check_weights(folder: Path, config: _Config) -> None:
    num_tensors = sum(len(read_header(file)) for file in weight_files(folder))
    layers = config.get("num_hidden_layers", 0)
    if layers > num_tensors:
        raise UserError(
            f"{folder / 'config.json'}: num_hidden_layers = {layers}, but the weight files hold "
            f"{num_tensors} tensors; copy the config.json that belongs to them."
        )
