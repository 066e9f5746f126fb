"""The Engine interface: turns tokenized prompts into sampled responses.

The embedded engine, vLLM and pools or replicas of them implement it; the loop never asks which.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from r1.rollout.settings import SamplingSettings
from r1.types import Completion, GroupRequest

if TYPE_CHECKING:
    import torch


class FinishedGroup(NamedTuple):
    """The answer to one GroupRequest: completions[g] belongs to request.seeds[g]."""

    request: GroupRequest
    completions: list[Completion]


class EngineDiedError(RuntimeError):
    """An engine's process is gone; a new engine can replace it."""


class AbortedError(RuntimeError):
    """Sampling was aborted."""


class Engine(Protocol):
    """Samples responses and takes new weights."""

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Yield every request's group when its last sample has ended, in order of ending."""

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> None:
        """Replace the weights by (Hugging Face parameter name, tensor) pairs."""


@runtime_checkable
class PartialEngine(Engine, Protocol):
    """An engine that accepts more groups and new weights while it samples.

    Between two calls of `poll` weights may be replaced: what is under way goes on under the new
    ones, its keys and values computed again, and each log-probability is that of the weights that
    drew the token. A completion's version is that of the weights it began with, or, where an
    engine cannot tell, an older one. Not to be mixed with a `generate` that is under way.
    """

    def submit(self, requests: Sequence[GroupRequest], sampling: SamplingSettings) -> None:
        """Add groups to those in progress; ids must differ, sampling settings must be the same."""

    def poll(self) -> list[FinishedGroup]:
        """Sample for a moment, such as a decode step; return the groups that ended."""


@runtime_checkable
class AbortableEngine(Engine, Protocol):
    """An engine whose `generate` another thread can abort."""

    def abort(self) -> None:
        """Abort a `generate` in progress, from any thread: it soon raises AbortedError."""


class KeptPrefixes(Protocol):
    """What an engine keeps of prompts. reused: by request, tokens that were not computed again."""

    reused: dict[str, int]


@runtime_checkable
class PrefixEngine(Engine, Protocol):
    """An engine that can keep prompts between calls of `generate`."""

    def keeping_prefixes(self) -> AbstractContextManager[KeptPrefixes]:
        """Keep prompts until the context ends; a prompt that begins with one computes the rest."""


class LoadedEngine(Engine, Protocol):
    """An engine with its model's tokenizer, as `r1.rollout.make.make_engine` loads it."""

    tokenizer: Any
    num_parameters: int

    def stream(
        self, prompt_ids: Sequence[int], sampling: SamplingSettings, seed: int = 0
    ) -> Generator[str, None, str]:
        """Yield one response's text in pieces; return how it ended, "stop" or "length"."""

    def close(self) -> None:
        """End its processes and free its memory; it cannot be used afterwards."""
