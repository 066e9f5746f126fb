"""What a reward model must be used with, kept beside its weights in reward_model.json (torch-free).

A score means something only for the template, the part and the limit that the model was trained
with; mean and deviation of its held-out scores make it comparable with other rewards.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from r1.config import Settings, validate
from r1.errors import UserError
from r1.files.shapes import read_json
from r1.models.catalogue import missing_hint
from r1.models.folder import REWARD_MODEL_CARD
from r1.reward_model.settings import Part, RewardModelRecipe
from r1.run_dir import find_checkpoint, is_run
from r1.steps.split import LINE
from r1.template import ChatTemplateSettings

CARD_FILE = REWARD_MODEL_CARD


class ScoreStatistics(Settings):
    """Of all responses of the held-out preferences."""

    mean: float
    std: float
    min: float
    max: float


class RewardModelCard(Settings):
    """How a reward model scores."""

    format: Literal[1] = 1
    objective: Literal["pairwise", "pointwise", "steps"]
    separator: str = LINE
    part: Part
    template: ChatTemplateSettings
    max_tokens: int
    statistics: ScoreStatistics | None = None

    def write(self, folder: Path) -> None:
        """Write the card into a model's folder."""
        text = json.dumps(self.model_dump(mode="json"), indent=2)
        (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")


def card_of(recipe: RewardModelRecipe, statistics: dict[str, float] | None) -> RewardModelCard:
    """The card of the model that a recipe makes."""
    return RewardModelCard(
        objective=recipe.objective,
        separator=recipe.separator,
        part=recipe.scored_part,
        template=recipe.template,
        max_tokens=recipe.batch.max_tokens,
        statistics=None if statistics is None else ScoreStatistics(**statistics),
    )


def read_card(folder: Path) -> RewardModelCard:
    """Read a model's card; UserError where it has none."""
    file = folder / CARD_FILE
    values = read_json(file)
    if values is None:
        raise UserError(
            f"{folder} has no {CARD_FILE}, so nothing says how it scores; give a run of kind "
            '"reward_model" or one of its checkpoints.'
        )
    return validate(values, RewardModelCard, str(file))


def find_reward_model(path: str | Path, base_folder: Path = Path()) -> Path:
    """The folder of a reward model: a run's newest checkpoint, or the folder itself.

    Raises UserError where there is none.
    """
    folder = base_folder / Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"reward model {folder} does not exist; train it first, or check its path."
            + missing_hint(folder)
        )
    return find_checkpoint(folder) if is_run(folder) else folder
