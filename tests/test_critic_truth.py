"""A critic's error against continuations: the arithmetic by hand, and from run to figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quick_problems import write_sums
from r1.cli import app
from r1.stages.critic_truth import ValuedPrefix, figures_of


def test_errors_by_problem_and_by_position() -> None:
    """Truths 0, 1, 0.5: their mean, 0.5, is the constant."""
    figures = figures_of(
        [
            ValuedPrefix("a", 0.05, 0.25, 0.0),
            ValuedPrefix("a", 0.95, 0.5, 1.0),
            ValuedPrefix("b", 0.95, 0.5, 0.5),
        ]
    )
    assert figures["values"]["value_error"] == pytest.approx({"a": 0.15625, "b": 0.0})
    assert figures["values"]["constant_error"] == pytest.approx({"a": 0.25, "b": 0.0})
    [lines] = figures["lines"].values()
    assert lines["value_error"] == [[5, pytest.approx(0.0625)], [95, pytest.approx(0.125)]]
    assert lines["constant_error"] == [[5, pytest.approx(0.25)], [95, pytest.approx(0.125)]]


RECIPE = """
kind = "r1"
[stages.ppo]
kind = "r1_zero"
model = "tiny"
num_steps = 1
data.train = [{ path = "sums.jsonl" }]
sampling.max_new_tokens = 40
rewards = { weights = { accuracy = 1.0 }, num_workers = 1 }
ppo = { num_problems = 2, group_size = 2, kl_weight = 0.0, value_warmup = 0, critic = "own" }

[stages.labels]
kind = "step_labels"
model = "@ppo"
num_samples = 1
rollouts = 2
sampling.max_new_tokens = 40
rewards = { weights = { accuracy = 1.0 }, num_workers = 1 }
problems = [{ path = "sums.jsonl" }]

[stages.truth]
kind = "critic_truth"
model = "@ppo"
path = "@labels"
"""


def test_from_the_run_to_the_figures(tmp_path: Path) -> None:
    """After one update the value of a prefix is near that update's, the same for all: so the error
    is that of a constant, but not that of the mean."""
    (tmp_path / "recipe.toml").write_text(RECIPE)
    write_sums(tmp_path / "sums.jsonl", 6)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", str(tmp_path / "recipe.toml"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads((out / "truth" / "values.json").read_text())
    errors = told["values"]["value_error"]
    assert errors.keys() == told["values"]["constant_error"].keys()
    assert 0 < len(errors) <= 6
    assert all(0.0 <= error <= 1.5 for error in errors.values())


@pytest.mark.parametrize(
    ("setting", "other", "told"),
    [
        ("{ accuracy = 1.0 }", "{ accuracy = 1.0, format = 1.0 }", "rewards.weights = { accuracy"),
        ("kl_weight = 0.0", "kl_weight = 0.5", 'ppo.kl_weight = 0.0 (or kl_in = "loss")'),
        ("kl_weight = 0.0", "kl_weight = 0.0, gamma = 0.9", "ppo.gamma = 1.0"),
        (
            "kl_weight = 0.0",
            'kl_weight = 0.0, overlong = "penalty", overlong_buffer = 9',
            "overlong",
        ),
    ],
)
def test_a_run_that_was_paid_for_more_is_refused_before_it_begins(
    setting: str, other: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.replace(setting, other, 1))
    write_sums(tmp_path / "sums.jsonl", 6)
    command = ["run", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0
    said = f"{refused.output}{refused.exception}"
    assert "the values of @ppo are no probabilities" in said
    assert told in said
    assert not (tmp_path / "out" / "ppo").exists()
