"""The Engine seam: anything that turns tokenized prompts into sampled responses.

The embedded engine, vLLM and an OpenAI-compatible endpoint fill it; the loop never asks which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from r1.rollout.settings import SamplingSettings
from r1.types import Completion, GroupRequest

if TYPE_CHECKING:
    import torch


class FinishedGroup(NamedTuple):
    """The answer to one GroupRequest: completions[g] belongs to request.seeds[g]."""

    request: GroupRequest
    completions: list[Completion]


class Engine(Protocol):
    """Samples responses and takes new weights."""

    def generate(
        self, requests: Sequence[GroupRequest], sampling: SamplingSettings
    ) -> Iterator[FinishedGroup]:
        """Yield every request's group as soon as its last sample has ended, in that order."""

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> None:
        """Replace the weights by (Hugging Face parameter name, tensor) pairs."""
