"""Supervised fine-tuning over ranks: `SFTLearner`'s update on a model that FSDP2 shards.

Every rank gets all the examples of a step and computes its share of the rows; losses, metrics and
gradients are those of one process but for rounding. Checkpoints are `ShardedLearner`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.distributed.device_mesh import DeviceMesh
from transformers import PreTrainedTokenizerFast

from r1.cluster.fsdp import ShardedLearner
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.sft.examples import Examples
from r1.sft.learner import LossSum, SFTLearner, TokenMeanObjective


class ShardedSFTLearner:
    """One rank of an SFTLearner; all ranks make the same calls in the same order."""

    def __init__(
        self,
        model_path: str | Path,
        settings: LearnerSettings,
        optimizer: OptimizerSettings,
        mesh: DeviceMesh,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
    ) -> None:
        """As SFTLearner, on the rank of `mesh` that this process is; UserError for LoRA as well."""
        self.sharded = ShardedLearner(
            model_path,
            settings,
            optimizer,
            TokenMeanObjective(),
            mesh,
            total_steps=total_steps,
            seed=seed,
            tokenizer=tokenizer,
        )
        self.learner = SFTLearner.on(self.sharded.local)

    @property
    def step(self) -> int:
        """Updates done."""
        return self.learner.step

    def update(self, examples: Examples, indices: Sequence[int]) -> dict[str, float]:
        """SFTLearner.update; all ranks return the same, but for the seconds."""
        return self.learner.update(examples, indices)

    def measure(self, examples: Examples) -> LossSum:
        """SFTLearner.measure, shared out over the ranks; all return the same."""
        return self.learner.measure(examples)

    def save(self, folder: Path) -> None:
        """Write model and state; see ShardedLearner.save."""
        self.sharded.save(folder)

    def load(self, folder: Path) -> None:
        """Take up where any number of ranks, or one process, left off."""
        self.sharded.load(folder)
