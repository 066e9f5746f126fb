"""Trainings in epochs over ranks: a learner's update on a model sharded by FSDP2.

Every rank gets all the examples of a step and computes its share of the rows; losses, metrics and
gradients are those of one process but for rounding. Checkpoints are `ShardedLearner`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.distributed.device_mesh import DeviceMesh
from transformers import PreTrainedTokenizerFast

from r1.cluster.fsdp import ShardedRanks, refuse_adapters, save_sharded
from r1.learner import sharded_state
from r1.learner.settings import LearnerSettings, OptimizerSettings


class ShardedSupervisedLearner:
    """One rank of an SFTLearner or a DPOLearner; all ranks make the same calls in the same
    order."""

    def __init__(
        self,
        learner: Callable[..., Any],
        model_path: str | Path,
        settings: LearnerSettings,
        optimizer: OptimizerSettings,
        mesh: DeviceMesh,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
    ) -> None:
        """Build the learner of this process's rank in `mesh`; UserError also for LoRA.

        learner: makes the learner of one process, which has its LocalLearner as `local`.
        """
        refuse_adapters(settings)
        self.ranks = ShardedRanks(mesh, settings.autocast)
        self.learner = learner(
            model_path,
            settings,
            optimizer,
            total_steps=total_steps,
            seed=seed,
            tokenizer=tokenizer,
            ranks=self.ranks,
        )

    @property
    def step(self) -> int:
        """Updates done."""
        return int(self.learner.step)

    def update(self, *examples: Any) -> dict[str, float]:
        """The learner's update; all ranks return the same, except seconds."""
        return self.learner.update(*examples)  # type: ignore[no-any-return]

    def measure(self, examples: Any) -> Any:
        """The learner's measure, divided over the ranks; all return the same."""
        return self.learner.measure(examples)

    def save(self, folder: Path) -> None:
        """Write model and state; see r1.cluster.fsdp.save_sharded."""
        save_sharded(self.learner.local, self.ranks, folder)

    def load(self, folder: Path) -> None:
        """Resume from a checkpoint of any number of ranks or of one process."""
        sharded_state.load(self.learner.local, folder)
