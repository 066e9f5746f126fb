"""Recipes of direct preference optimisation on small pairs."""

from __future__ import annotations

from pathlib import Path

import reward_model_data


def write_recipe(folder: Path, sections: str = "", architecture: str = "qwen2") -> Path:
    """Pairs and model of the reward models' recipe, of 6 steps."""
    path = reward_model_data.write_recipe(folder, "pairwise", sections, architecture)
    text = path.read_text().replace('"reward_model"', '"dpo"').replace('objective = "pairwise"', "")
    path.write_text(text)
    return path
