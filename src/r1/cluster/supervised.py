"""Supervised fine-tuning over ranks: `SFTLearner`'s update on a model sharded by FSDP2.

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
        """Build the learner of this process's rank in `mesh`, as SFTLearner; UserError also for
        LoRA."""
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
        """SFTLearner.update; all ranks return the same, except seconds."""
        return self.learner.update(examples, indices)

    def measure(self, examples: Examples) -> LossSum:
        """SFTLearner.measure, divided over the ranks; all return the same."""
        return self.learner.measure(examples)

    def save(self, folder: Path) -> None:
        """Write model and state; see ShardedLearner.save."""
        self.sharded.save(folder)

    def load(self, folder: Path) -> None:
        """Resume from a checkpoint of any number of ranks or of one process."""
        self.sharded.load(folder)
