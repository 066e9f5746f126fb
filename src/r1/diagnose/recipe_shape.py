"""The settings that the diagnosis reads of a run's resolved recipe, with their types.

Recipes of all kinds are read, and a run's folder may come from another person: a text in place of a
number is reported by file and field, not by a traceback from the check that uses it.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from r1.files.shapes import open_shape
from r1.rewards.settings import AnswerSource


@open_shape
class RewardTable(TypedDict, total=False):
    weights: dict[str, float]
    families: dict[str, dict[str, float]]
    answer_from: AnswerSource
    timeout_s: float
    worker_memory_mb: int
    judge: dict[str, Any] | None


@open_shape
class SamplingTable(TypedDict, total=False):
    max_new_tokens: int | None
    temperature: float | None
    stop: list[str]


@open_shape
class DataTable(TypedDict, total=False):
    train: list[dict[str, Any]]
    heldout: list[dict[str, Any]]
    decontaminate: bool
    ngram: int
    common_share: float


@open_shape
class OptimizerTable(TypedDict, total=False):
    kind: str
    lr: float
    warmup_steps: int


@open_shape
class FormatTable(TypedDict, total=False):
    kind: str | None
    dtype: str
    force_think: bool | None
    turns: str
    max_tokens: int | None


@open_shape
class DiagnosedRecipe(TypedDict, total=False):
    """recipe.json, and request.json of `r1 eval`."""

    num_steps: int
    rewards: RewardTable
    sampling: SamplingTable
    data: DataTable
    optimizer: OptimizerTable
    template: FormatTable
    learner: FormatTable
    engine: FormatTable
    examples: FormatTable
    batch: FormatTable
    loss: FormatTable
