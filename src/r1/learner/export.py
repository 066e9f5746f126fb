"""Write a model in the Hugging Face layout from weights that arrive one at a time.

Never more than one file's worth of weights is in memory. Where transformers keeps weights in
another form than its files do (stacked experts, say), its own conversion is reverted, a decoder
layer at a time, as `save_pretrained` does for a whole model.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.core_model_loading import revert_weight_conversion

from r1.learner.lora import MergedParameters, plain_name
from r1.learner.ranks import Ranks
from r1.learner.sharded_state import full_disk_told
from r1.models.load import save_description

MAX_FILE_BYTES = 5 * 10**9
_LAYER = re.compile(r"^(.*?\.\d+)\.")


def save_streamed(
    model: PreTrainedModel,
    weights: Iterable[tuple[str, Tensor]],
    folder: Path,
    tokenizer: PreTrainedTokenizerFast | None = None,
    write: bool = True,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> None:
    """Write config, tokenizer, weights and the model's persistent buffers straight into `folder`.

    weights: (name in the model, whole tensor); tied ones under one name. write: False only takes
    the weights, for a rank that helps to gather them.
    """
    if not write:
        for _ in weights:
            pass
        return
    save_description(model, folder, tokenizer)
    names = dict(model.named_parameters(remove_duplicate=False))
    kept = ((n, t) for n, t in model.state_dict().items() if n not in names)
    buffers = [(plain_name(n), t) for n, t in kept]
    files: list[dict[str, int]] = []
    pending: dict[str, Tensor] = {}
    size = 0
    for name, tensor in _converted(model, itertools.chain(weights, buffers)):
        added = tensor.numel() * tensor.element_size()
        if pending and size + added > max_file_bytes:
            files.append(_write(folder, len(files), pending))
            pending, size = {}, 0
        pending[name] = tensor
        size += added
    files.append(_write(folder, len(files), pending))
    _name_files(folder, files)


def _converted(
    model: PreTrainedModel, weights: Iterable[tuple[str, Tensor]]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights in the files' form, on the CPU, one layer at a time."""

    def layer(item: tuple[str, Tensor]) -> str:
        match = _LAYER.match(item[0])
        return match[1] if match else item[0]

    on_cpu = ((name, tensor.detach().to("cpu")) for name, tensor in weights)
    for _, members in itertools.groupby(on_cpu, key=layer):
        yield from revert_weight_conversion(model, dict(members)).items()


def _write(folder: Path, index: int, tensors: dict[str, Tensor]) -> dict[str, int]:
    """Write one file under a temporary name; return bytes by weight."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, _passing(folder, index), {"format": "pt"})
    return {name: t.numel() * t.element_size() for name, t in contiguous.items()}


def _passing(folder: Path, index: int) -> Path:
    return folder / f"model-{index + 1:05d}.safetensors"


def _name_files(folder: Path, files: list[dict[str, int]]) -> None:
    """Give the files their final names, which contain their number, and write the index."""
    if len(files) == 1:
        _passing(folder, 0).rename(folder / "model.safetensors")
        return
    weight_map: dict[str, str] = {}
    for index, names in enumerate(files):
        final = f"model-{index + 1:05d}-of-{len(files):05d}.safetensors"
        _passing(folder, index).rename(folder / final)
        weight_map |= dict.fromkeys(names, final)
    total = sum(sum(names.values()) for names in files)
    document = {"metadata": {"total_size": total}, "weight_map": weight_map}
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")


def save_gathered(
    ranks: Ranks,
    model: PreTrainedModel,
    folder: Path,
    tokenizer: PreTrainedTokenizerFast | None,
) -> None:
    """Write a sharded model, adapters merged: rank 0 writes while all ranks gather its weights, one
    at a time.

    The folder must be one that all ranks see. A failed write raises OSError on all ranks, so that
    none of them continues to write into a folder that is being removed.
    """
    problem = 0
    weights = iter(MergedParameters(model))
    try:
        with full_disk_told(folder):
            save_streamed(model, weights, folder, tokenizer, write=ranks.index == 0)
    except OSError as error:
        problem = error.errno or errno.EIO
        for _ in weights:  # the others are still gathering them
            pass
    problem = int(ranks.maximum(torch.tensor(problem)))
    if problem:
        raise OSError(problem, os.strerror(problem), str(folder))
