"""The repository's recipes for supervised fine-tuning are valid and say what they claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from r1.config import dump, validate
from r1.errors import UserError
from r1.learner.optimizer import lr_factor
from r1.pipeline.recipe import load_any_recipe
from r1.r1_zero.settings import R1ZeroRecipe
from r1.sft.settings import SFTRecipe
from r1.template import TemplateSettings

RECIPES = Path(__file__).parents[1] / "recipes"
SFT = sorted(RECIPES.rglob("sft*.toml"))


@pytest.mark.parametrize("path", SFT, ids=lambda path: str(path.relative_to(RECIPES)))
def test_recipe_is_valid_and_survives_being_written_out(path: Path) -> None:
    recipe = load_any_recipe(path)
    assert isinstance(recipe, SFTRecipe)
    assert validate(dump(recipe), SFTRecipe, "written out") == recipe
    # What evaluation and chat read of a run's recipe.
    assert validate(dump(recipe)["template"], TemplateSettings, "template")


def test_the_paper_s_settings() -> None:
    """Section B.4: two epochs, batch 128, context 32,768, cosine from 5e-5 to 5e-6."""
    recipe = load_any_recipe(RECIPES / "cluster" / "sft_800k.toml")
    assert isinstance(recipe, SFTRecipe)
    assert (recipe.batch.size, recipe.batch.unit) == (128, "examples")
    assert (recipe.batch.epochs, recipe.batch.max_tokens) == (2, 32_768)
    optimizer = recipe.optimizer
    assert (optimizer.kind, optimizer.schedule) == ("adamw", "cosine")
    steps = 2 * -(-804_745 // 128)
    rates = [optimizer.lr * lr_factor(step, steps, optimizer) for step in (0, steps - 1)]
    assert rates == pytest.approx([5e-5, 5e-6])
    assert (
        SFTRecipe.model_validate({"model": "m", "data": dump(recipe.data)}).optimizer == optimizer
    )


def test_the_kind_decides_and_r1_zero_is_the_default(tmp_path) -> None:
    assert isinstance(load_any_recipe(RECIPES / "tiny" / "r1_zero.toml"), R1ZeroRecipe)
    text = (RECIPES / "tiny" / "r1_zero.toml").read_text()
    (tmp_path / "recipe.toml").write_text(text.replace('kind = "r1_zero"\n', ""))
    assert isinstance(load_any_recipe(tmp_path / "recipe.toml"), R1ZeroRecipe)
    with pytest.raises(UserError, match="'sfft' is no kind of recipe"):
        load_any_recipe(RECIPES / "tiny" / "sft.toml", ["kind=sfft"])
