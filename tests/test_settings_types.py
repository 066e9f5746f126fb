"""Settings take the types that TOML gives, and a wrong key leads to the setting that was meant."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from r1.config import Settings, apply_overrides, as_now, dump, load_recipe, validate
from r1.curation.settings import PromptedSettings
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe, schemas
from r1.pretrain.settings import PretrainRecipe
from r1.r1_zero.settings import R1ZeroRecipe
from r1.run_dir.recipe_check import differences
from r1.search.settings import SearchSettings
from r1.setting_hints import NO_SETTING, OTHER_NAMES, classes_of, setting_paths

RECIPES = Path(__file__).parents[1] / "recipes" / "tiny"
SCHEMAS = schemas()
ALL = [*SCHEMAS.values(), PretrainRecipe]


def refusal(values: dict, schema: type[Settings] = R1ZeroRecipe) -> str:
    """The message that values are refused with."""
    with pytest.raises(UserError) as refused:
        validate(values, schema, "recipe.toml")
    return str(refused.value)


WRONG_TYPES = [
    ('num_steps="7"', "write the number without quotes"),
    ("num_steps=7.0", "write 7"),
    ("num_steps=true", "integer"),
    ("num_steps=7.5", "integer"),
    ("num_steps=99999999999999999999", "63 bits"),
    ("num_steps=2024-05-01", "write it in quotes"),
    ("num_steps=[7]", "integer"),
    ("seed=3.0", "write 3"),
    ('learner.autocast="yes"', "write true or false"),
    ("learner.autocast=yes", "write true or false"),
    ("learner.autocast=1", "write true or false"),
    ("learner.autocast=True", "write true or false"),
    ("optimizer.lr=inf", "neither infinite nor nan"),
    ("optimizer.lr=-inf", "lr"),
    ("optimizer.lr=nan", "neither infinite nor nan"),
    ('optimizer.lr="1e-6"', "write the number without quotes"),
    ("optimizer.lr=1e-6f", "write a number"),
    ("optimizer.lr=0,5", "write a number"),
    ("optimizer.lr=true", "number"),
    ("optimizer.betas=[0.9, 1.5]", "less than 1"),
    ("optimizer.betas=0.9", "in brackets"),
    ("grpo.kl_weight=nan", "neither infinite nor nan"),
    ("grpo.clip_high=inf", "neither infinite nor nan"),
    ("rewards.timeout_s=-1", "greater than 0"),
    ("rewards.timeout_s=0", "greater than 0"),
    ("rewards.timeout_s=inf", "neither infinite nor nan"),
    ("rewards.weights.accuracy=nan", "neither infinite nor nan"),
    ('rewards.weights.accuracy="1"', "write the number without quotes"),
    ("rewards.weights=1", "table"),
    ("sampling.temperature=inf", "neither infinite nor nan"),
    ("sampling.stop=end", "in brackets"),
    ("sampling.top_k=5.0", "write 5"),
    ("model=7", "write it in quotes"),
    ("model=true", "string"),
    ("data.train.0.languages=[1]", "write it in quotes"),
    ('data.train.0.levels=["3"]', "write the number without quotes"),
    ("grpo.ratio=tokens", "did you mean 'token'"),
]


@pytest.mark.parametrize(("override", "said"), WRONG_TYPES, ids=[w for w, _ in WRONG_TYPES])
def test_a_wrong_type_is_refused_with_the_right_way_to_write_it(override, said) -> None:
    with pytest.raises(UserError) as refused:
        load_recipe(RECIPES / "r1_zero.toml", R1ZeroRecipe, [override])
    message = str(refused.value)
    field = override.partition("=")[0]
    assert said in message
    assert field in message
    assert "r1_zero.toml with --set" in message


def test_types_hold_for_settings_made_in_python_too() -> None:
    with pytest.raises(ValueError, match="valid integer"):
        SCHEMAS["sft"].model_validate(
            {"model": "tiny", "data": {"train": [{"path": "x.jsonl"}]}, "seed": "7"}
        )


def test_whole_numbers_make_floats_and_lists_make_tuples() -> None:
    overrides = ["optimizer.lr=1", "sampling.stop=['a', 'b']", "optimizer.betas=[0, 0.5]"]
    recipe = load_recipe(RECIPES / "r1_zero.toml", R1ZeroRecipe, overrides)
    assert (recipe.optimizer.lr, recipe.sampling.stop) == (1.0, ("a", "b"))


def test_every_number_has_a_bound() -> None:
    """A setting that takes any number at all would take a negative count or duration too."""
    signed = {"RewardModelUse.weight", "RewardModelUse.missing"}
    for schema in dict.fromkeys(itertools.chain.from_iterable(map(classes_of, ALL))):
        for name, field in schema.model_fields.items():
            number = field.annotation in (int, float, int | None, float | None)
            if number and f"{schema.__name__}.{name}" not in signed:
                assert field.metadata, f"{schema.__name__}.{name} has no bound"


def test_an_item_of_a_list_is_set_by_its_number() -> None:
    values = {"data": {"train": [{"path": "a"}, {"path": "b"}]}}
    changed = apply_overrides(values, ["data.train.1.limit=3", "data.train.0.path=c"])
    assert changed == {"data": {"train": [{"path": "c"}, {"path": "b", "limit": 3}]}}
    assert values["data"]["train"][0]["path"] == "a"
    for wrong in ("2", "x", "-1", "²"):
        with pytest.raises(UserError, match=r"no item of a list of 2"):
            apply_overrides(values, [f"data.train.{wrong}.limit=3"])


MEANT = [
    # (kind of recipe, unknown key, what the message must offer)
    ("r1_zero", "learning_rate", "optimizer.lr"),
    ("r1_zero", "learnig_rate", "optimizer.lr"),
    ("r1_zero", "lr", "optimizer.lr"),
    ("r1_zero", "optimizer.learning_rate", "optimizer.lr"),
    ("r1_zero", "accurcy", "rewards.weights.accuracy"),
    ("r1_zero", "rewards.accurcy", "rewards.weights.accuracy"),
    ("r1_zero", "rewards.format", "rewards.weights.format"),
    ("r1_zero", "batch_size", "grpo.num_problems"),
    ("r1_zero", "per_device_train_batch_size", "grpo.num_problems"),
    ("r1_zero", "beta", "grpo.kl_weight"),
    ("r1_zero", "num_generations", "grpo.group_size"),
    ("r1_zero", "grpo.num_generations", "grpo.group_size"),
    ("r1_zero", "max_length", "sampling.max_new_tokens"),
    ("r1_zero", "max_completion_length", "sampling.max_new_tokens"),
    ("r1_zero", "temperature", "sampling.temperature"),
    ("r1_zero", "grpo.temperature", "sampling.temperature"),
    ("r1_zero", "epochs", "num_steps"),
    ("r1_zero", "output_dir", "--out"),
    ("r1_zero", "save_steps", "checkpoints.every"),
    ("r1_zero", "Max-New-Tokens", "sampling.max_new_tokens"),
    ("sft", "num_steps", "batch.epochs or batch.max_steps"),
    ("sft", "learning_rate", "optimizer.lr"),
    ("sft", "batch_size", "batch.size"),
    ("sft", "num_train_epochs", "batch.epochs"),
    ("sft", "max_seq_length", "batch.max_tokens"),
    ("sft", "packing", "batch.unit"),
    ("sft", "model_name_or_path", "'model'"),
    ("reward_model", "max_length", "batch.max_tokens"),
    ("reward_model", "num_steps", "batch.epochs"),
    ("sft", "lora_r", "learner.lora.rank"),
]


@pytest.mark.parametrize(("kind", "key", "meant"), MEANT, ids=[f"{k} {w}" for k, w, _ in MEANT])
def test_the_setting_that_was_meant_is_named_wherever_it_is(kind, key, meant) -> None:
    values = {"model": "tiny", "data": {"train": [{"path": "x.jsonl"}]}, "num_steps": 1}
    if kind != "r1_zero":
        values |= {"kind": kind}
        del values["num_steps"]
    message = refusal(apply_overrides(values, [f"{key}=1"]), SCHEMAS[kind])
    assert meant.strip("'") in message
    assert f"{key}: unknown setting" in message


def test_they_lead_to_the_section_of_the_recipes_algorithm() -> None:
    values = {"model": "tiny", "data": {"train": []}, "num_steps": 1, "num_generations": 8}
    assert "did you mean grpo.group_size?" in refusal(values)
    assert "did you mean rloo.group_size?" in refusal(values | {"rloo": {}})


def test_other_libraries_names_lead_to_settings_that_exist() -> None:
    paths = {path for schema in ALL for path in setting_paths(schema.for_reference())}
    assert {name for names in OTHER_NAMES.values() for name in names} <= paths
    assert not NO_SETTING.keys() & OTHER_NAMES.keys()
    assert all(issubclass(schema, BaseModel) for schema in ALL)


KINDS = [
    ("cold_start", 'did you mean "prompted"'),
    ("eval", 'did you mean "evaluation"'),
    ("grpo", '"r1_zero"'),
    ("rm", '"reward_model"'),
    ("r1-zero", 'did you mean "r1_zero"'),
    ("stf", 'did you mean "sft"'),
    ("dance", "valid:"),
]


@pytest.mark.parametrize(("kind", "said"), KINDS)
def test_a_kind_that_does_not_exist(tmp_path, kind, said) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'kind = "{kind}"\nmodel = "tiny"\n')
    with pytest.raises(UserError) as refused:
        load_any_recipe(path)
    assert said in str(refused.value)
    assert "recipe.toml" in str(refused.value)


def test_a_recipe_without_kind_is_told_which_it_looks_like(tmp_path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('model = "tiny"\n[batch]\nsize = 4\n[examples]\nturns = "last"\n')
    with pytest.raises(UserError, match='did you mean kind = "sft"'):
        load_any_recipe(path)


SETTLED = [(schema, name) for schema in dict.fromkeys(c for s in ALL for c in classes_of(s))
           for name in schema.settled]  # fmt: skip


@pytest.mark.parametrize(("schema", "name"), SETTLED)
def test_a_settled_name_is_read_with_its_value_and_refused_with_another(schema, name) -> None:
    required = [key for key, field in schema.model_fields.items() if field.is_required()]
    if required:
        schema = type("Loose", (Settings,), {"settled": schema.settled})
    assert name not in schema.model_fields
    assert validate({name: schema.settled[name]}, schema, "old") == schema()
    assert "it was one once, and every run" in refusal({name: 77}, schema)


def test_a_run_with_settled_names_is_carried_on_only_with_their_values() -> None:
    recipe = load_any_recipe(RECIPES / "r1_zero.toml", [])
    now = dump(recipe)
    before = {**now, "grpo": {**now["grpo"], "std_epsilon": 1e-6}}
    assert as_now(before, type(recipe)) == now
    other = {**now, "grpo": {**now["grpo"], "std_epsilon": 1e-3}}
    lines = differences(as_now(other, type(recipe)), now)
    assert lines == ["grpo.std_epsilon: 0.001 in the run, not set now"]
    refined = schemas()["refined"]
    stored = {"few_shot": dump(PromptedSettings()), "num": 3}
    assert "few_shot" not in refined.without_settled(stored)


# Settings that would change nothing ---------------------------------------------------------------

WITHOUT_EFFECT = [
    # (section and settings, a setting of it that is then ignored, what it is for)
    ("grpo", {"aggregate_constant": 512}, 'aggregate = "constant"'),
    ("rloo", {"aggregate": "token", "aggregate_constant": 512}, 'aggregate = "constant"'),
    ("grpo", {"overlong_buffer": 16}, 'overlong = "penalty"'),
    ("ppo", {"critic_lr": 1e-4}, 'critic = "own"'),
    ("ppo", {"critic": "own", "value_weight": 0.5}, 'critic = "shared"'),
    ("ppo", {"kl": "k2"}, 'kl_in = "loss"'),
    ("optimizer", {"muon_lr": 0.1}, 'kind = "muon"'),
]


@pytest.mark.parametrize(("section", "given", "needed"), WITHOUT_EFFECT)
def test_a_setting_without_effect_is_refused_with_what_it_is_for(section, given, needed) -> None:
    values = {"model": "tiny", "num_steps": 9, "data": {"train": [{"path": "t.jsonl"}]}}
    name = list(given)[-1]
    told = refusal({**values, section: given})
    assert f"{section}" in told
    assert f"{name} is for {needed}; leave it out (by default " in told
    key, value = needed.split(" = ")
    needs = {**given, key: json.loads(value)}
    if key == "overlong":
        values["sampling"] = {"max_new_tokens": 64}
    validate({**values, section: needs}, R1ZeroRecipe, "recipe.toml")


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"method": "vote", "beams": 8}, 'beams is for method = "beam"'),
        ({"method": "mcts", "scorer": "x", "budget": 9, "subtrees": 2}, "subtrees is for"),
        ({"method": "vote", "expansions": 2}, 'expansions is for method = "beam" or "mcts"'),
        ({"method": "vote", "step_tokens": 9}, 'step_tokens is for method = "beam" or "mcts"'),
    ],
)
def test_a_search_is_not_given_what_its_method_does_not_read(given, needed) -> None:
    assert needed in refusal(given, SearchSettings)


def test_every_setting_that_needs_another_one_exists_and_may_be_at_its_default() -> None:
    for schema in {known for root in ALL for known in classes_of(root)}:
        for name, (other, values) in schema.only_with.items():
            assert {name, other} <= schema.model_fields.keys(), schema
            assert values, schema
