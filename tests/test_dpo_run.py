"""Direct preference optimisation as a run: recipes, pairs, what it writes, and exact resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpo_data import write_recipe
from r1.config import load_recipe
from r1.dpo.settings import DPORecipe
from r1.dpo.train import prepare, train_dpo
from r1.errors import UserError
from r1.models.load import load_tokenizer
from r1.preferences.read import load_preferences
from r1.preferences.source import PreferenceSource
from r1.report import report_json
from r1.report.load import load_run
from r1.report.page import build_run_report
from r1.report.preferences import PREFERENCE_CHARTS
from r1.run_dir import read_evaluations, read_metrics
from reward_model_data import pair_rows
from run_story import story
from small_recipe import write_jsonl
from test_reward_model_run import SERVER, Quiet, kill_process_at

SHARED = Path(__file__).parents[2] / "shared"
SECTIONS = "[evaluation]\nevery = 3\n[checkpoints]\nevery = 2\nkeep = 2\n"


def train(path: Path, out: Path, overrides=()) -> Quiet:
    recipe = load_recipe(path, DPORecipe, overrides)
    quiet = Quiet()
    train_dpo(recipe, str(path.parent / recipe.model), path.parent, out, quiet)
    return quiet


def train_alone(path: Path, out: Path) -> None:
    import torch

    torch.set_num_threads(1)  # how sums are split over threads shows in their last bits
    train(path, out)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), SECTIONS)


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    process = SERVER.Process(target=train_alone, args=(recipe, out))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    return out


def test_a_run_learns_and_tells_its_story(run) -> None:
    rows, evaluations = read_metrics(run), read_evaluations(run)
    assert [row["num_examples"] for row in rows] == [8] * 6
    assert [found["step"] for found in evaluations] == [0, 3, 6]
    first, last = evaluations[0], evaluations[-1]
    assert first["accuracy"]["value"] == 0.5
    assert first["kl"] == pytest.approx(0.0, abs=1e-6)
    assert last["accuracy"]["value"] > 0.7
    assert last["loss"] < first["loss"]
    assert last["kl"] > 0
    assert last["chosen_change"] > last["rejected_change"]
    assert last["by_language"].keys() == {"en", "zh"}
    told = json.loads((run / "lineage.json").read_text())
    assert told["stage"] == "dpo"
    assert [len(found["sha256"]) for found in told["datasets"]] == [64, 64]


def test_its_report_shows_accuracy_loss_movement_and_distance(run) -> None:
    charts = [make(load_run(run)) for make in PREFERENCE_CHARTS]
    assert [len(chart.series) for chart in charts] == [2, 2, 4, 1]
    assert charts[0].series[1].x == [0, 3, 6]
    assert report_json(run)["accuracy"]["after"]["value"] > 0.7
    page = build_run_report(run).read_text()
    assert "Change of log-probabilities" in page
    assert "held-out preferences right" in page


@pytest.mark.slow
def test_killed_and_resumed_it_is_the_same_run(recipe, run, tmp_path) -> None:
    kill_process_at(train_alone, recipe, tmp_path / "killed", [(1, 0.0), (3, 0.05)])
    process = SERVER.Process(target=train_alone, args=(recipe, tmp_path / "killed"))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    expected = story(run)
    assert "evaluations/step-000003.json" in expected
    assert story(tmp_path / "killed") == expected


def refusal(tmp_path: Path, overrides=()) -> str:
    with pytest.raises(UserError) as refused:
        train(tmp_path / "recipe.toml", tmp_path / "run", overrides)
    assert not (tmp_path / "run").exists()
    return str(refused.value)


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path) -> None:
    write_recipe(tmp_path, SECTIONS)
    assert "more than the model's context" in refusal(tmp_path, ["batch.max_tokens=100000"])
    assert "no chat template" in refusal(tmp_path, ['template.kind="chat"'])
    assert "longer than the limit of 12 tokens" in refusal(tmp_path, ["batch.max_tokens=12"])
    assert "every pair is longer" in refusal(
        tmp_path, ["batch.max_tokens=12", 'examples.overlong="drop"']
    )
    assert "needs pairs to measure on" in refusal(tmp_path, ["data.heldout=[]"])
    assert "own target" in refusal(tmp_path, ['loss.kind="ipo"', "loss.margin=1.0"])
    rows = pair_rows(4)
    write_jsonl(tmp_path / "train.jsonl", [rows[0], {**rows[1], "rejected": rows[1]["chosen"]}])
    assert "row 2: chosen and rejected are equal" in refusal(tmp_path)


def test_over_long_pairs_are_dropped_or_truncated_and_told(tmp_path) -> None:
    path = write_recipe(tmp_path, SECTIONS)
    rows = pair_rows(4)
    rows[1]["chosen"] = "x" * 60 + "!"
    write_jsonl(tmp_path / "train.jsonl", rows)
    for how, kept, said in (("drop", 3, "dropped"), ("truncate", 4, "truncated")):
        recipe = load_recipe(path, DPORecipe, [f"examples.overlong={how}"])
        found = prepare(recipe, str(tmp_path / "model"), tmp_path)
        assert len(found.train.items) == kept
        assert f"1 over-long pairs were {said}." in found.notices
        for item in found.train.items:
            assert len(item.prompt_ids) + max(map(len, item.responses)) <= 64
    rows = [{**row, "chosen": row["chosen"] * 3} for row in pair_rows(4)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    found = prepare(load_recipe(path, DPORecipe), str(tmp_path / "model"), tmp_path)
    assert any("teaches that as well" in notice for notice in found.notices)


def test_pairs_of_equal_tokens_are_dropped_where_asked(tmp_path) -> None:
    """Two texts can be the same tokens: the prompt has opened the thinking that one opens again."""
    path = write_recipe(tmp_path, SECTIONS.replace("[evaluation]\nevery = 3\n", ""))
    rows = pair_rows(3)
    same = {"prompt": "say <think>", "chosen": "<think>a</think> b", "rejected": "a</think> b"}
    write_jsonl(tmp_path / "train.jsonl", [*rows[:2], same])
    told = refusal(tmp_path)
    assert "row 3: chosen and rejected are the same tokens" in told
    assert 'unusable = "drop"' in told
    dropping = ['data.train=[{path = "train.jsonl", unusable = "drop"}]']
    found = prepare(load_recipe(path, DPORecipe, dropping), str(tmp_path / "model"), tmp_path)
    assert len(found.train.items) == 2
    assert "1 pairs were dropped (equal tokens)." in found.notices
    write_jsonl(tmp_path / "train.jsonl", [same])
    assert "every pair was dropped (1 for equal tokens)" in refusal(tmp_path, dropping)


def test_tokens_are_those_of_fine_tuning_and_a_dialogue_is_rendered_whole(tmp_path) -> None:
    path = write_recipe(tmp_path, SECTIONS)
    write_jsonl(
        tmp_path / "train.jsonl",
        [
            {
                "conversations": [
                    {"from": "system", "value": "S"},
                    {"from": "human", "value": "a"},
                    {"from": "gpt", "value": "b"},
                    {"from": "human", "value": "c"},
                ],
                "chosen": {"from": "gpt", "value": "yes"},
                "rejected": {"from": "gpt", "value": "no"},
            }
        ],
    )
    tokenizer = load_tokenizer(str(tmp_path / "model"))
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role[0] }}>{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}a>{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path / "model")
    columns = '{prompt="conversations", role="from", content="value"}'
    source = f'{{path="train.jsonl", columns={columns}, roles={{human="user", gpt="assistant"}}}}'
    overrides = [f"data.train=[{source}]", "data.heldout=[]", "evaluation.every=0"]
    overrides += ['template.kind="chat"', 'examples.response="verbatim"']
    recipe = load_recipe(path, DPORecipe, overrides)
    [item] = prepare(recipe, str(tmp_path / "model"), tmp_path).train.items
    assert tokenizer.decode(item.prompt_ids) == "s>S\nu>a\na>b\nu>c\na>"
    ends = [tokenizer.decode(list(ids)) for ids in item.responses]
    assert ends == ["yes<eos>", "no<eos>"]
    plain = 'data.train=[{path="train.jsonl", columns={prompt="conversations"}}]'
    with pytest.raises(UserError, match="takes one user and one assistant turn"):
        prepare(load_recipe(path, DPORecipe, [plain]), str(tmp_path / "model"), tmp_path)


def test_a_held_out_pair_is_not_trained_on_either_way_round(tmp_path) -> None:
    path = write_recipe(tmp_path, SECTIONS)
    rows = pair_rows(60)
    turned = {**rows[50], "chosen": rows[50]["rejected"], "rejected": rows[50]["chosen"]}
    write_jsonl(tmp_path / "train.jsonl", [*rows[:10], rows[49], turned])
    found = prepare(load_recipe(path, DPORecipe), str(tmp_path / "model"), tmp_path)
    assert len(found.train.items) == 10
    assert any("2 training rows are held out too" in notice for notice in found.notices)
    write_jsonl(tmp_path / "train.jsonl", [rows[49], turned])
    with pytest.raises(UserError, match="every training row is held out too; give data"):
        prepare(load_recipe(path, DPORecipe), str(tmp_path / "model"), tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared beside the repository")
@pytest.mark.parametrize("name", ["dpo_en_demo", "dpo_zh_demo"])
def test_a_public_file_of_dialogues_is_read(name, tmp_path) -> None:
    file = SHARED / "benchmarks" / "preferences" / f"{name}.json"
    found = load_preferences(PreferenceSource(path=str(file), unusable="drop"), "pairs", tmp_path)
    assert len(found.items) + sum(found.dropped.values()) == 300
    assert len(found.items) >= 285  # a few rows are there twice
    assert any(pair.earlier for pair in found.items)
