"""Reward models over ranks: `RewardLearner`'s update on a body and a head sharded by FSDP2.

Every rank gets the whole batch and computes its share of the rows; losses, scores and gradients are
those of one process but for rounding. A checkpoint is the same folder that one process writes,
which `load_reward_model` reads, with the ranks' state instead of learner.pt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch.distributed.device_mesh import DeviceMesh
from transformers import PreTrainedTokenizerFast

from r1.cluster.fsdp import ShardedRanks, save_gathered
from r1.learner import sharded_state
from r1.learner.settings import OptimizerSettings
from r1.learner.sharded import whole
from r1.preferences.examples import PreferenceExample
from r1.reward_model.learner import RewardLearner
from r1.reward_model.model import save_head
from r1.reward_model.settings import RewardLearnerSettings


class ShardedRewardLearner:
    """One rank of a RewardLearner; all ranks make the same calls in the same order."""

    def __init__(
        self,
        model_path: str | Path,
        settings: RewardLearnerSettings,
        optimizer: OptimizerSettings,
        mesh: DeviceMesh,
        total_steps: int = 1,
        seed: int = 0,
        tokenizer: PreTrainedTokenizerFast | None = None,
    ) -> None:
        """Build the learner of this process's rank in `mesh`, as RewardLearner."""
        self.ranks = ShardedRanks(mesh, settings.autocast)
        self.learner = RewardLearner(
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
        return self.learner.step

    def update(self, examples: Sequence[PreferenceExample]) -> dict[str, float]:
        """RewardLearner.update; all ranks return the same, except seconds."""
        return self.learner.update(examples)

    def measure(self, examples: Sequence[PreferenceExample]) -> list[list[float]]:
        """RewardLearner.measure, divided over the ranks; all return the same."""
        return self.learner.measure(examples)

    def save(self, folder: Path) -> None:
        """Write the model as RewardModel.save does and the ranks' state into `folder`/state, on a
        file system shared by all ranks. Raises OSError (ENOSPC) for a full disk."""
        model, first = self.learner.model, self.ranks.index == 0
        gathered = ((name, whole(p.detach())) for name, p in model.body.named_parameters())
        save_gathered(self.ranks, model.body, gathered, folder, self.learner.tokenizer)
        with sharded_state.full_disk_told(folder):
            if not model.native:
                weight_1D = whole(model.head.weight.detach())
                if first:
                    save_head(weight_1D, folder)
            sharded_state.save(self.learner, folder)

    def load(self, folder: Path) -> None:
        """Resume from a checkpoint of any number of ranks or of one process."""
        sharded_state.load(self.learner, folder)
