"""A search as a stage: its values by problem are the figures' parts, and its scorer an edge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from quick_problems import write_sums
from r1.claims.measure import NO_COST, cost_of
from r1.cli import app
from r1.config import validate
from r1.data.external import inputs_of
from r1.errors import UserError
from r1.pipeline.graph import StageState
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.run_r1 import build, run_pipeline, standings
from r1.progress import TerminalProgress
from r1.search.engine import read_records
from r1.stages.search import SearchStage
from r1.steps.scorers import BUILT_IN
from test_evaluate_battery import save_reward_model

RECIPE = """
kind = "r1"
seed = 3
[stages.vote]
kind = "search"
model = "tiny"
search = { method = "vote" }
evaluation = { num_samples = 3 }
max_new_tokens = 40
rewards = { weights = { accuracy = 1.0 }, num_workers = 1 }
problems = [{ path = "sums.jsonl" }]
[stages.beam]
like = "vote"
without = ["search", "evaluation"]
search = { method = "beam", scorer = "constant", beams = 2, expansions = 2 }
evaluation = { seed = 5 }
"""


def test_values_of_problems_are_what_the_figures_are_means_of(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    write_sums(tmp_path / "sums.jsonl", 6)
    out = tmp_path / "out"
    command = ["run", str(tmp_path / "recipe.toml"), "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    for name, rules in (("vote", {"any", "mean", "majority"}), ("beam", {"best", "weighted"})):
        values = json.loads((out / name / "values.json").read_text())
        figures = json.loads((out / name / "search" / "search.json").read_text())
        request = json.loads((out / name / "search" / "request.json").read_text())
        assert request["settings"]["seed"] == {"vote": 3, "beam": 5}[name], "the recipe's, or own"
        assert rules <= values["values"].keys() == figures["rules"].keys()
        for rule, by_problem in values["values"].items():
            assert len(by_problem) == 6
            mean = float(np.mean(list(by_problem.values())))
            assert mean == pytest.approx(figures["rules"][rule]["value"]), (name, rule)
        searches = read_records(out / name / "search" / "searches").values()
        generated = sum(each["cost"]["generated"] for each in searches)
        assert values["of_run"]["generated_tokens"] == pytest.approx(generated / 6)
        assert cost_of(out / name).generated_tokens == generated > 0
    assert "best" not in json.loads((out / "vote" / "search" / "search.json").read_text())["rules"]


def test_sampled_data_have_a_cost_and_a_broken_card_a_message(tmp_path: Path) -> None:
    assert cost_of(tmp_path) == NO_COST
    total = {"samples": 1, "prompts": 1, "sampled": 3, "sampled_tokens": 37, "dropped": {}}
    (tmp_path / "card.json").write_text(json.dumps({"total": total}))
    assert cost_of(tmp_path) == NO_COST._replace(generated_tokens=37)
    (tmp_path / "card.json").write_text(json.dumps({"total": {**total, "sampled_tokens": "37"}}))
    with pytest.raises(UserError, match=r"card\.json.*total\.sampled_tokens"):
        cost_of(tmp_path)


TRAIN = {"kind": "tiny", "split": "train", "num": 2}


def test_its_scorer_must_be_a_reward_model() -> None:
    beam = {
        "kind": "search",
        "model": "tiny",
        "search": {"method": "beam", "scorer": "@tuned"},
        "problems": [{"kind": "tiny", "split": "heldout", "num": 2}],
    }
    tuned = {"kind": "sft", "model": "tiny", "data": {"train": [TRAIN]}}
    recipe = validate({"stages": {"tuned": tuned, "beam": beam}}, R1Recipe, "recipe")
    with pytest.raises(UserError, match=r"search\.scorer' needs a reward_model, but tuned gives"):
        build(recipe, Path(), "recipe")


def test_a_number_of_samples_that_a_search_does_not_ask_for_is_refused() -> None:
    beam = {
        "model": "tiny",
        "search": {"method": "beam", "scorer": "constant"},
        "evaluation": {"num_samples": 3},
        "problems": [{"kind": "tiny", "split": "heldout", "num": 2}],
    }
    with pytest.raises(UserError, match=r"evaluation.num_samples is for .* leave it out"):
        validate(beam, SearchStage, "recipe")
    validate({**beam, "evaluation": {"num_samples": 16}}, SearchStage, "recipe")


def ranked(scorer: str) -> R1Recipe:
    """A search stage of two short samples."""
    stage = {
        "kind": "search",
        "model": "tiny",
        "search": {"method": "best_of_n", "scorer": scorer},
        "evaluation": {"num_samples": 2},
        "max_new_tokens": 4,
        "rewards": {"weights": {"accuracy": 1.0}, "num_workers": 1},
        "problems": [TRAIN],
    }
    return validate({"stages": {"ranked": stage}}, R1Recipe, "recipe")


def test_a_scorer_lies_beside_the_recipe_and_decides_its_stage(tmp_path: Path, monkeypatch) -> None:
    """As a reward model among the rewards: a trained-again one makes the stage stale."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    beside, out = tmp_path / "recipe", tmp_path / "out"
    save_reward_model(beside / "prm", "steps", "whole", 1)
    with TerminalProgress() as progress:
        run_pipeline(ranked("prm"), beside, out, progress)
    told = json.loads((out / "ranked" / "search" / "search.json").read_text())
    assert told["scorer"].startswith("prm sha256:")
    pipeline = build(ranked("prm"), beside, "recipe")
    [standing] = standings(pipeline, out)
    assert standing.state is StageState.DONE
    shutil.rmtree(beside / "prm")
    save_reward_model(beside / "prm", "steps", "whole", 2)
    [standing] = standings(pipeline, out)
    assert standing.state is StageState.STALE
    assert "search.scorer" in standing.reason
    shutil.rmtree(beside / "prm")
    with (
        TerminalProgress() as progress,
        pytest.raises(UserError, match=r"search\.scorer prm: ") as e,
    ):
        run_pipeline(ranked("prm"), beside, tmp_path / "out2", progress)
    assert "--scorer" not in str(e.value)
    assert str(beside / "prm") in str(e.value)


@pytest.mark.parametrize("scorer", [*BUILT_IN, "@prm", None])
def test_a_scorer_that_is_no_file_is_no_input(scorer: str | None, tmp_path: Path) -> None:
    assert not inputs_of({"search": {"scorer": scorer}}, tmp_path)
