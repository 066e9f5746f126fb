"""Every recipe in the repository is valid, and says what it claims."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from r1.claims.settings import load_claim
from r1.config import as_now, dump, load_recipe, validate
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pretrain.settings import PretrainRecipe
from r1.r1_zero.settings import R1ZeroRecipe

RECIPES = Path(__file__).parents[1] / "recipes"
BASES = ("base", "student_qwen", "student_llama")
CLAIMS = RECIPES / "claims"
RUNS = sorted(p for p in RECIPES.rglob("*.toml") if p.stem not in BASES and p.parent != CLAIMS)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: str(path.relative_to(RECIPES)))
def test_recipe_is_valid_and_survives_being_written_out(path: Path) -> None:
    recipe = load_any_recipe(path)
    assert validate(dump(recipe), type(recipe), "written out") == recipe


@pytest.mark.parametrize("path", sorted(CLAIMS.glob("*.toml")), ids=lambda path: path.stem)
def test_how_a_claim_runs_at_size_can_be_pasted(path: Path) -> None:
    """Commands over files that are here; what is not here is said in a comment."""
    settings = load_claim(path).settings
    lines = [line for line in settings.at_size.splitlines() if not line.startswith("#")]
    for command in (part.strip() for line in lines for part in line.split(";")):
        program, verb, *words = shlex.split(command)
        assert (program, verb in ("run", "eval", "plan", "reproduce")) == ("r1", True), command
        assert "..." not in command
        assert not {"MODEL", "RECIPE"} & set(words), command
        for word in words:
            assert not word.startswith("recipes/") or (RECIPES.parent / word).is_file(), word
        if verb == "reproduce":
            assert words[0] == path.stem
            assert "--scale" not in words or words[words.index("--scale") + 1] in settings.scales
    assert lines or settings.at_size.startswith("# No recipe of this size is here")


def test_base_recipe_is_valid() -> None:
    for name in BASES:
        assert load_recipe(RECIPES / "tiny" / f"{name}.toml", PretrainRecipe).seed == 0


def test_the_paper_s_settings() -> None:
    """Section 2.1 and appendix B.4 of the paper, in rollouts of 16 minibatches."""
    recipe = load_recipe(RECIPES / "cluster" / "r1_zero.toml", R1ZeroRecipe)
    grpo = recipe.grpo
    assert grpo.num_problems * grpo.group_size == 8192
    assert grpo.num_problems * grpo.group_size // grpo.num_minibatches == 512
    assert recipe.num_steps * grpo.num_minibatches == 10_400
    assert grpo.reference_every * grpo.num_minibatches == 400
    assert (recipe.optimizer.lr, grpo.kl_weight, recipe.sampling.temperature) == (3e-6, 0.001, 1.0)
    assert (recipe.evaluation.temperature, recipe.evaluation.top_p) == (0.6, 0.95)


def test_a_stored_recipe_is_completed_by_what_is_newer_than_it() -> None:
    recipe = load_any_recipe(RECIPES / "tiny" / "r1_zero.toml")
    assert isinstance(recipe, R1ZeroRecipe)
    stored = {**dump(recipe), "base_folder": "/somewhere"}
    del stored["grpo"]["staleness"], stored["engine"]["vllm"], stored["data"]["train"][0]["path"]
    assert as_now(stored, R1ZeroRecipe) == {**dump(recipe), "base_folder": "/somewhere"}
    stored["grpo"]["gone"] = 1
    assert as_now(stored, R1ZeroRecipe) == stored


def test_overrides_reach_nested_settings() -> None:
    path = RECIPES / "tiny" / "r1_zero.toml"
    overrides = ["grpo.clip_high=0.28", 'template.kind="plain"', "learner.lora.rank=4", "seed=7"]
    recipe = load_recipe(path, R1ZeroRecipe, overrides)
    assert recipe.grpo.clip_high == 0.28
    assert recipe.template.kind == "plain"
    assert recipe.learner.lora is not None
    assert recipe.learner.lora.rank == 4
    assert recipe.seed == 7


def test_every_mistake_is_listed_at_once() -> None:
    path = RECIPES / "tiny" / "r1_zero.toml"
    with pytest.raises(UserError) as refused:
        load_recipe(path, R1ZeroRecipe, ["grpo.group_size=1", "optimizer.lrr=1"])
    assert "grpo.group_size" in str(refused.value)
    assert "optimizer.lrr" in str(refused.value)
    assert "did you mean 'lr'" in str(refused.value)
