"""Read a distributed checkpoint without running what its pickled metadata may ask for.

PyTorch keeps `.metadata` as a pickle and loads it with all of pickle's powers: a run folder from
somebody else would run its code on being carried on. Here only the classes that such metadata is
made of can be named in it, every stored value must be a tensor (a value of bytes would be unpickled
in full by PyTorch's planner), and every file must lie in the checkpoint.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from r1.errors import UserError
from r1.files.regular import check_regular, read_bytes

METADATA_FILE = ".metadata"
_MAX_BYTES = 256 << 20

_CLASSES = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",  # only so that it is refused by name
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size", *(n for n, v in vars(torch).items() if isinstance(v, torch.dtype))},
    "collections": {"OrderedDict"},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "pathlib":  # where it was written, which nothing reads
            return _no_path
        if name not in _CLASSES.get(module, ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of metadata")
        return super().find_class(module, name)


def read_metadata(folder: Path) -> Metadata:
    """The checked metadata of a distributed checkpoint.

    Raises UserError where it is missing or damaged, names anything but metadata's own classes,
    holds a value that is no tensor, or a file outside the folder.
    """
    file = folder / METADATA_FILE
    try:
        metadata = _Unpickler(io.BytesIO(read_bytes(file, _MAX_BYTES))).load()
        _check(metadata, folder)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise _damaged(file, f"{error.filename} is missing") from None
    # A pickle can call the classes above with anything, and fail in as many ways.
    except Exception as error:
        raise _damaged(file, str(error) or type(error).__name__) from error
    return metadata


def _no_path(*_: Any) -> None:
    """What stands for a path in metadata."""


class CheckedReader(FileSystemReader):
    """PyTorch's reader, with `read_metadata` in place of its own."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The checked metadata."""
        metadata = read_metadata(Path(self.path))
        assert metadata.storage_meta is not None
        metadata.storage_meta.load_id = self.load_id
        return metadata


def _check(metadata: Any, folder: Path) -> None:
    _require(type(metadata) is Metadata, "it is no metadata of a checkpoint")
    _require(type(metadata.state_dict_metadata) is dict, "it names no tensors")
    for name, entry in metadata.state_dict_metadata.items():
        _require(type(entry) is TensorStorageMetadata, f"{name!r} is no tensor")
        _require(type(entry.properties) is TensorProperties, f"{name!r} has no properties")
        _require(_is_size(entry.size), f"{name!r} has no size")
        for chunk in entry.chunks:
            whole = type(chunk) is ChunkStorageMetadata and _is_size(chunk.sizes)
            _require(whole and _is_size(chunk.offsets), f"{name!r} has a damaged part")
    _require(type(metadata.storage_data) is dict, "it names no files")
    for index, place in metadata.storage_data.items():
        _require(type(index) is MetadataIndex, "a part has no name")
        name = place.relative_path
        _require(isinstance(name, str) and Path(name).name == name, f"{name!r} is no file of it")
        numbers = (place.offset, place.length)
        _require(all(type(n) is int and n >= 0 for n in numbers), f"{name!r} has no place")
        _require(not getattr(place, "transform_descriptors", None), f"{name!r} is transformed")
        size = check_regular(folder / name)
        _require(place.offset + place.length <= size, f"{name} is truncated")
    _require(metadata.storage_meta is not None, "it says nothing of its storage")


def _is_size(value: Any) -> bool:
    return type(value) is torch.Size and all(0 <= n < 1 << 48 for n in value)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _damaged(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} is damaged or not written by r1: {why[:300]}. Put the file back, or remove the "
        "checkpoint's folder to go back to the one before it."
    )
