"""Shared parts of the kinds that train: the run folder inside a stage's, and a learner's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from r1.evaluation.source import find_weights
from r1.run_dir import find_checkpoint
from r1.run_dir.read import read_metrics
from r1.stages.protocol import Artifact, ArtifactType, Run, StageContext, Train

RUN = "run"
"""The run folder inside a training stage's folder."""


def stage_run(train: Train, output: str, gives: ArtifactType) -> Run:
    """Return the run function of a kind that trains: its output is the run's last checkpoint."""

    def run(recipe: Any, context: StageContext) -> Mapping[str, Artifact]:
        folder = context.folder
        out = train(recipe, context.base_folder, folder / RUN, context.progress.training)
        checkpoint = find_checkpoint(out).relative_to(folder).as_posix()
        return {output: Artifact(checkpoint, gives, _counts_of_run(out))}

    return run


def train_on_data(
    trainer: Callable[..., Path], recipe: Any, base_folder: Path, *rest: Any, **options: bool
) -> Path:
    """Call a trainer with a model's folder and a learner's place.

    recipe.model may be a run as well, whose newest checkpoint is taken.
    """
    from r1.cluster.supervised_run import place

    model = find_weights(recipe.model, base_folder)
    return trainer(recipe, model, base_folder, *rest, place, **options)


def _counts_of_run(out: Path) -> dict[str, float]:
    """Return the number of updates and of their tokens."""
    metrics = read_metrics(out)
    counts: dict[str, float] = {"steps": len(metrics)}
    for name in ("tokens_learnt", "tokens_trained"):
        tokens = sum(int(step.get(name) or 0) for step in metrics)
        if tokens:
            counts["tokens"] = tokens
    return counts
