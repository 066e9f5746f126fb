"""Weights from the learner to the engines, as buckets in Ray's object store.

A bucket is a flat run of bytes with the names, dtypes and shapes of what is in it, so that Ray maps
it into an engine's memory without a copy, whatever the dtype. Every bucket carries the version it
belongs to. The driver owns the references and holds them until the next version, so that an engine
that is started again takes the same weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import ray
import torch
from torch import Tensor

from r1.cluster.ray_calls import Call, answer

_FETCH_S = 600.0  # for one bucket
BUCKET_BYTES = 2**28
"""Size of a bucket: what a process holds beside its own model while weights travel."""


class Entry(NamedTuple):
    """One tensor of a bucket."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class WeightBucket(NamedTuple):
    """Tensors one after the other in `data` (uint8). version: number of policy updates."""

    version: int
    entries: list[Entry]
    data: np.ndarray


def pack(
    weights: Iterable[tuple[str, Tensor]], version: int, max_bytes: int
) -> Iterator[WeightBucket]:
    """Fill buckets up to max_bytes; a larger tensor has its own."""
    entries: list[Entry] = []
    parts: list[np.ndarray] = []
    size = 0
    for name, tensor in weights:
        flat = tensor.detach().to("cpu").contiguous().flatten().view(torch.uint8).numpy()
        if parts and size + flat.size > max_bytes:
            yield WeightBucket(version, entries, np.concatenate(parts))
            entries, parts, size = [], [], 0
        kind = str(tensor.dtype).removeprefix("torch.")
        entries.append(Entry(name, kind, tuple(tensor.shape)))
        parts.append(flat)
        size += flat.size
    if parts:
        yield WeightBucket(version, entries, np.concatenate(parts))


def unpack(buckets: Iterable[WeightBucket]) -> Iterator[tuple[str, Tensor]]:
    """Return the tensors; they share the bucket's memory and must not be written to."""
    for bucket in buckets:
        start = 0
        for name, kind, shape in bucket.entries:
            dtype = getattr(torch, kind)
            end = start + int(np.prod(shape)) * dtype.itemsize
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*not writable.*")
                flat = torch.from_numpy(bucket.data[start:end])
            # An offset that is no multiple of the item's size cannot be viewed as such items.
            aligned = flat if flat.data_ptr() % dtype.itemsize == 0 else flat.clone()
            yield name, aligned.view(dtype).view(shape)
            start = end


class RemoteWeights:
    """A policy's weights as references to buckets; iterating fetches them."""

    def __init__(
        self,
        version: int,
        references: list[Any],
        again: Callable[[], RemoteWeights] | None = None,
    ) -> None:
        """Keep references to buckets. again: gathers the learner's weights anew if a node with a
        bucket is lost."""
        self.version = version
        self.references = references
        self._again = again

    def renewed(self) -> RemoteWeights:
        """Return the same version in new buckets if the learner still has it; else these."""
        fresh = None if self._again is None else self._again()
        return fresh if fresh is not None and fresh.version == self.version else self

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        for reference in self.references:
            yield from unpack(
                [answer(Call("the object store", reference), "give a bucket", _FETCH_S)]
            )

    @classmethod
    def of(cls, weights: Iterable[tuple[str, Tensor]], version: int) -> RemoteWeights:
        """Put any learner's weights into the object store from this process."""
        if isinstance(weights, cls):
            return weights
        return cls(version, [ray.put(bucket) for bucket in pack(weights, version, BUCKET_BYTES)])
