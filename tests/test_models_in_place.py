"""A model in a recipe that is a reward model, or a run that is not there: told before anything
starts, with the recipe's file, the field and the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dpo_data
import reward_model_data
import sft_data
import small_recipe
from r1 import cli
from r1.errors import SettingError, UserError
from r1.evaluation.source import resolve_model
from r1.models import hub
from r1.models.catalogue import refuse_missing
from r1.models.load import check_model_folder, load_model
from r1.reward_model.card import find_reward_model
from r1.reward_model.model import load_reward_model
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model
from small_models import save_small_model
from small_recipe import with_plain_heldout
from test_sft_wrong_input import assert_refused

SAID = "is a reward model and no language model; name the model it was trained from, or a run"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A language model, a reward model with a card, one of another's with a classifier's config,
    and a recipe of every kind that trains."""
    root = tmp_path_factory.mktemp("world")
    small_recipe.write_recipe(root / "rl", "qwen2", 2, "[grpo]\nnum_problems = 2\ngroup_size = 2\n")
    with_plain_heldout(root / "rl" / "recipe.toml")
    sft_data.write_recipe(root / "sft")
    dpo_data.write_recipe(root / "dpo")
    reward_model_data.write_recipe(root / "reward")
    save_small_model(root / "prm")
    (root / "prm" / "reward_model.json").write_text("{}")
    load_reward_model(root / "prm", seed=0).save(root / "foreign")
    save_small_model(root / "foreign_tokens")
    for file in (root / "foreign_tokens").glob("*token*"):
        (root / "foreign" / file.name).write_bytes(file.read_bytes())
    return root


def run(words: list[object], monkeypatch, capsys) -> tuple[int, str]:
    """Exit status and everything printed."""
    monkeypatch.setattr("sys.argv", ["r1", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out + printed.err


@pytest.mark.parametrize("name", ["prm", "foreign"])
def test_a_reward_model_is_no_language_model_and_scores(world, name) -> None:
    for check in (check_model_folder, load_model):
        with pytest.raises(SettingError, match=SAID):
            check(world / name)
    check_model_folder(world / name, scores=True)
    load_reward_model(world / name, seed=0)
    with pytest.raises(SettingError, match=rf"^distill.teacher = '.*{name}': model .* {SAID}"):
        check_model(str(world / name), CheckCache(world), "distill.teacher")
    check_model(str(world / name), CheckCache(world), scores=True)


@pytest.mark.parametrize("kind", ["rl", "sft", "dpo"])
def test_no_recipe_trains_a_reward_model_on(world, kind, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(world / "rl"))
    recipe, out = world / kind / "recipe.toml", tmp_path / "out"
    words = ["run", recipe, "--out", out, "--set", f"model={world / 'prm'}"]
    code, text = run(words, monkeypatch, capsys)
    assert_refused(code, text, [f"{recipe} with --set model: model {world / 'prm'} {SAID}"])
    assert not out.exists()


def test_a_reward_model_is_trained_on_from_one(world, tmp_path, monkeypatch, capsys) -> None:
    recipe = world / "reward" / "recipe.toml"
    words = ["run", recipe, "--out", tmp_path / "out", "--set", "batch.max_steps=1"]
    code, text = run([*words, "--set", f"model={world / 'foreign'}"], monkeypatch, capsys)
    assert code == 0, text


def test_a_reward_model_teaches_nobody(world, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(world / "rl"))
    recipe = world / "rl" / "teacher.toml"
    text = (world / "rl" / "recipe.toml").read_text()
    recipe.write_text(text.replace("[grpo]", '[distill]\nteacher = "../prm"'))
    code, text = run(["run", recipe, "--out", tmp_path / "out"], monkeypatch, capsys)
    assert_refused(code, text, [f"{recipe}: distill.teacher = '../prm': model", SAID])


def test_a_reward_model_is_not_sampled(world, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(world / "rl"))
    recipe, out = world / "rl" / "recipe.toml", tmp_path / "out"
    words = ["eval", world / "prm", "--recipe", recipe, "--out", out]
    for asked in (words, ["chat", world / "prm"]):
        code, text = run(asked, monkeypatch, capsys)
        assert_refused(code, text, [SAID])
    assert not out.exists()


@pytest.fixture
def runs(tmp_path, monkeypatch) -> Path:
    """A working folder with the runs runs/ppo and mine/sums."""
    for name in ("runs/ppo", "mine/sums"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_text(json.dumps({}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hub, "hub_is_reachable", lambda: True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs/pp", "model runs/pp does not exist: runs holds no such run.* mean runs/ppo?"),
        ("runs/none", "model runs/none does not exist: runs holds no such run. Check the name"),
        ("mine/sum", "model mine/sum does not exist: mine holds no such run.*mean mine/sums?"),
    ],
)
def test_a_run_that_is_not_there_is_no_hub_id(runs, name, said) -> None:
    with pytest.raises(UserError, match=said) as told:
        resolve_model(name)
    assert "onnect" not in str(told.value)
    refuse_missing("somebody/model")


def test_a_folder_that_is_not_there_is_not_to_be_downloaded(runs, monkeypatch) -> None:
    monkeypatch.setattr(hub, "hub_is_reachable", lambda: False)
    (runs / "models" / "smollm2").mkdir(parents=True)
    (runs / "models" / "smollm2" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"models holds no such folder.* mean models/smollm2\?"):
        check_model_folder("models/smolm2")


def test_a_reward_model_that_is_not_there_has_a_near_name(runs) -> None:
    with pytest.raises(UserError, match=r"runs/pppo does not exist.*Did you mean runs/ppo\?"):
        find_reward_model("runs/pppo")
