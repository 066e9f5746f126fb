"""Reward models as runs: recipes, what a run writes, refusals, and exact resume under kill -9."""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kills import num_kills
from r1.config import dump, load_recipe, validate
from r1.errors import UserError
from r1.reward_model.card import find_reward_model, read_card
from r1.reward_model.settings import RewardModelRecipe
from r1.reward_model.train import PreferenceOrder, prepare, train_reward_model
from r1.run_dir import read_evaluations, read_metrics
from reward_model_data import pair_rows, write_recipe
from run_story import story
from small_recipe import write_jsonl

RECIPES = Path(__file__).parents[1] / "recipes"
SECTIONS = "[evaluation]\nevery = 3\n[checkpoints]\nevery = 2\nkeep = 2\n"
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["r1.reward_model.train", "transformers.models.qwen2.modeling_qwen2"])


class Quiet:
    def __init__(self) -> None:
        self.notices: list[str] = []

    def begin(self, first_step, num_steps, notices) -> None:
        self.notices = notices

    def step(self, step, metrics) -> None: ...

    def evaluation(self, step, summary) -> None: ...


def train(path: Path, out: Path, overrides=()) -> Quiet:
    recipe = load_recipe(path, RewardModelRecipe, overrides)
    quiet = Quiet()
    train_reward_model(recipe, str(path.parent / recipe.model), path.parent, out, quiet)
    return quiet


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), sections=SECTIONS)


@pytest.mark.parametrize("name", ["helpful", "harmless"])
def test_recipes_are_valid_and_the_paper_s_say_what_the_paper_says(name) -> None:
    for folder in ("tiny", "cluster"):
        found = load_recipe(RECIPES / folder / f"{name}_rm.toml", RewardModelRecipe)
        assert validate(dump(found), RewardModelRecipe, "written out") == found
    assert (found.batch.size, found.optimizer.lr, found.batch.epochs) == (256, 6e-6, 1)
    assert found.batch.max_tokens == 8192
    expected = {"helpful": ("pairwise", "answer"), "harmless": ("pointwise", "whole")}
    assert (found.objective, found.scored_part) == expected[name]


def test_impossible_settings() -> None:
    path = RECIPES / "tiny" / "harmless_rm.toml"
    with pytest.raises(UserError, match="margin is for pairs"):
        load_recipe(path, RewardModelRecipe, ["loss.margin=1.0"])
    with pytest.raises(UserError, match="needs preferences to measure on"):
        load_recipe(path, RewardModelRecipe, ["data.heldout=[]"])


@pytest.mark.parametrize("objective", ["pairwise", "pointwise"])
def test_a_run_learns_and_tells_its_story(objective, tmp_path) -> None:
    path = write_recipe(tmp_path, objective, SECTIONS)
    out = tmp_path / "run"
    train(path, out, ["batch.epochs=3"])
    rows = read_metrics(out)
    assert len(rows) == 18
    assert all(row["grad_norm"] > 0 and row["num_examples"] == 8 for row in rows)
    assert [row["epoch"] for row in rows[:7]] == pytest.approx([n / 6 for n in range(7)])
    evaluations = read_evaluations(out)
    # At the start, at the end, every 3, and with every checkpoint.
    assert [e["step"] for e in evaluations] == [0, 2, 3, 4, 6, 8, 9, 10, 12, 14, 15, 16, 18]
    first, last = evaluations[0], evaluations[-1]
    assert last["accuracy"]["value"] >= 0.9 > first["accuracy"]["value"]
    assert last["accuracy"]["low"] <= last["accuracy"]["value"] <= last["accuracy"]["high"]
    assert last["loss"] < first["loss"]
    assert sum(b["num"] for b in last["calibration"]["bins"]) == last["num_examples"] == 12
    card = read_card(find_reward_model(out))
    assert card.objective == objective
    assert card.statistics.model_dump() == last["scores"]
    story = json.loads((out / "lineage.json").read_text())
    assert story["stage"] == "reward_model"
    assert [len(d["sha256"]) for d in story["datasets"]] == [64, 64]


def test_without_heldout_nothing_is_measured(tmp_path) -> None:
    path = write_recipe(tmp_path)
    out = tmp_path / "run"
    found = train(path, out, ["data.heldout=[]", "batch.max_steps=2"])
    assert any('normalise = "none" or "sigmoid"' in notice for notice in found.notices)
    assert read_evaluations(out) == []
    assert read_card(find_reward_model(out)).statistics is None


def test_rows_that_are_held_out_are_not_trained_on(tmp_path) -> None:
    path = write_recipe(tmp_path)
    rows = pair_rows(60)
    turned = {**rows[50], "chosen": rows[50]["rejected"], "rejected": rows[50]["chosen"]}
    write_jsonl(tmp_path / "train.jsonl", [*rows[:46], rows[49], turned])
    found = prepare(load_recipe(path, RewardModelRecipe), str(tmp_path / "model"), tmp_path)
    assert len(found.train.items) == 46
    assert any("2 training rows are held out too" in notice for notice in found.notices)


def refusal(tmp_path: Path, overrides=()) -> str:
    path = tmp_path / "recipe.toml"
    with pytest.raises(UserError) as refused:
        train(path, tmp_path / "run", overrides)
    assert not (tmp_path / "run").exists()
    return str(refused.value)


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path) -> None:
    write_recipe(tmp_path)
    assert "more than the model's context" in refusal(tmp_path, ["batch.max_tokens=100000"])
    assert "no chat template" in refusal(tmp_path, ['template.kind="chat"'])
    assert "longer than the limit of 20" in refusal(tmp_path, ["batch.max_tokens=20"])
    assert "does not exist" in refusal(tmp_path, ["model=nowhere/at/all"])
    rows = pair_rows(4)
    write_jsonl(tmp_path / "train.jsonl", [rows[0], {**rows[1], "rejected": ""}])
    assert "row 2: rejected is empty" in refusal(tmp_path)
    thinks = {**rows[1], "chosen": "<think>never ends"}
    write_jsonl(tmp_path / "train.jsonl", [rows[0], thinks])
    assert "row 2: chosen has nothing after its thinking" in refusal(tmp_path)
    same = {**rows[1], "chosen": "<think>a</think> x", "rejected": "<think>b</think> x"}
    write_jsonl(tmp_path / "train.jsonl", [rows[0], same])
    assert "do not differ in the part that is scored" in refusal(tmp_path)
    assert "part" not in str(train(tmp_path / "recipe.toml", tmp_path / "whole",
                                   ['part="whole"', "batch.max_steps=1"]).notices)  # fmt: skip


def test_over_long_rows_are_dropped_or_cut_and_told(tmp_path) -> None:
    path = write_recipe(tmp_path)
    rows = pair_rows(4)
    rows[1]["chosen"] = "x" * 60 + "!"
    write_jsonl(tmp_path / "train.jsonl", rows)
    for policy, kept, said in (("drop", 3, "dropped"), ("cut", 4, "cut")):
        recipe = load_recipe(path, RewardModelRecipe, [f"batch.overlong={policy}"])
        found = prepare(recipe, str(tmp_path / "model"), tmp_path)
        assert len(found.train.items) == kept
        assert any(f"1 over-long rows were {said}" in notice for notice in found.notices)
        assert all(
            len(item.prompt_ids) + max(map(len, item.responses)) <= 64 for item in found.train.items
        )


def test_other_data_are_another_recipe(recipe, tmp_path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(recipe.parent, folder)
    train(folder / "recipe.toml", tmp_path / "run", ["batch.max_steps=2"])
    rows = [json.loads(line) for line in (folder / "train.jsonl").open()]
    write_jsonl(folder / "train.jsonl", [{**rows[0], "rejected": "other?"}, *rows[1:]])
    with pytest.raises(UserError, match="begun with other files"):
        train(folder / "recipe.toml", tmp_path / "run", ["batch.max_steps=2"])


def test_the_order_deals_every_example_once_an_epoch(recipe) -> None:
    settings = load_recipe(recipe, RewardModelRecipe, ["batch.epochs=2", "batch.size=10"])
    order = PreferenceOrder(48, settings)
    assert order.num_steps == 10
    epochs = [[i for step in range(5 * e, 5 * e + 5) for i in order.batch(step)] for e in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(48))
    assert epochs[0] != epochs[1]
    assert {len(order.batch(step)) for step in range(10)} == {9, 10}
    assert PreferenceOrder(48, settings).batch(7) == order.batch(7)


def train_alone(recipe: Path, out: Path) -> None:
    torch.set_num_threads(1)  # how sums are split over threads shows in their last bits
    train(recipe, out)


def finish(recipe: Path, out: Path) -> None:
    process = SERVER.Process(target=train_alone, args=(recipe, out))
    process.start()
    process.join(300)
    assert process.exitcode == 0


def lines(out: Path) -> int:
    """Steps that a run has committed."""
    try:
        return (out / "metrics.jsonl").read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0


def kill_process_at(
    work: Callable[[Path, Path], None],
    recipe: Path,
    out: Path,
    moments: list[tuple[int, float]],
) -> None:
    """Start work(recipe, out) for each moment, in a process forked from one that has imported
    everything already, and kill it so long after so many steps are committed."""
    for steps, seconds in moments:
        process = SERVER.Process(target=work, args=(recipe, out))
        process.start()
        began = time.monotonic()
        while lines(out) < steps and process.is_alive() and time.monotonic() - began < 120:
            time.sleep(0.002)
        time.sleep(seconds)
        assert process.is_alive() or process.exitcode == 0
        process.kill()
        process.join()


def check_killed(recipe: Path, tmp_path: Path, moments: list[tuple[int, float]]) -> None:
    finish(recipe, tmp_path / "undisturbed")
    kill_process_at(train_alone, recipe, tmp_path / "killed", moments)
    finish(recipe, tmp_path / "killed")
    expected = story(tmp_path / "undisturbed")
    assert "metrics.jsonl" in expected
    assert "evaluations/step-000003.json" in expected
    assert story(tmp_path / "killed") == expected


@pytest.mark.slow
def test_killed_at_random_moments(recipe, tmp_path) -> None:
    rng = random.Random(5)
    moments = [(rng.randrange(6), rng.uniform(0.0, 0.3)) for _ in range(num_kills(8))]
    check_killed(recipe, tmp_path, moments)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["helpful", "harmless"])
def test_the_tiny_recipe_is_right_on_nine_held_out_rows_of_ten(name, tmp_path) -> None:
    from r1.data.tiny import BASE_FOLDER

    found = load_recipe(RECIPES / "tiny" / f"{name}_rm.toml", RewardModelRecipe)
    train_reward_model(found, str(BASE_FOLDER), RECIPES / "tiny", tmp_path / "run", Quiet())
    accuracy = read_evaluations(tmp_path / "run")[-1]["accuracy"]
    assert accuracy["value"] > 0.9, accuracy
