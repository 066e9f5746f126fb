"""RLOO, CISPO and REINFORCE++ against references by hand; every algorithm as a run."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.algorithms.cispo import CISPO, CISPOSettings
from r1.algorithms.protocol import RewardedGroup
from r1.algorithms.registry import algorithms
from r1.algorithms.reinforce_pp import (
    EPSILON,
    ReinforcePP,
    ReinforcePPSettings,
    returns_with_kl,
    whiten,
)
from r1.algorithms.rloo import RLOO, RLOOSettings, leave_one_out
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.learner.objective import Totals
from r1.learner.settings import LearnerSettings, OptimizerSettings
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from run_processes import finish, kill_after
from run_story import story
from small_models import save_small_model
from small_recipe import write_recipe
from test_algorithm_grpo import LENGTHS, WEIGHTS, as_tokens, make_rows
from train_batches import make_batch_of, make_groups

TOTALS = Totals(6, sum(LENGTHS))
REWARDS = [1.0, 0.0, 3.0, 0.5]


def rewarded(rewards, valid=None, length=2):
    valid = valid or [True] * len(rewards)
    nothing: object = None
    return RewardedGroup(rewards, valid, valid, [length] * len(rewards), nothing)


def test_leave_one_out_compares_with_the_others():
    expected = [
        r - np.mean([o for j, o in enumerate(REWARDS) if j != i]) for i, r in enumerate(REWARDS)
    ]
    np.testing.assert_allclose(leave_one_out(REWARDS, [True] * 4), expected, rtol=1e-12)
    assert leave_one_out([1.0, 9.0, 0.0], [True, False, True]) == [1.0, 0.0, -1.0]
    assert leave_one_out([1.0, 9.0], [True, False]) == [0.0, 0.0]
    advantages_PGT = RLOO(RLOOSettings()).advantages([rewarded([1.0, 0.0])])
    assert advantages_PGT == [[[1.0, 1.0], [-1.0, -1.0]]]


def test_on_policy_rloo_has_the_gradient_of_whole_responses():
    """-A_i / responses for every token, whatever the response's length."""
    rows = [(row[0], row[0], row[0], row[0]) for row in make_rows(0.0)]
    advantages = [1.0, -2.0, 0.5, 3.0, 1.0, -1.0]
    tokens = as_tokens(rows, advantages, torch.float64)
    RLOO(RLOOSettings(kl_weight=0.0)).loss(tokens, TOTALS).loss.backward()
    expected = -np.array(advantages) * np.array(WEIGHTS) / 6
    np.testing.assert_allclose(tokens.logprobs_M.grad, np.repeat(expected, LENGTHS), rtol=1e-12)


def test_cispo_clips_the_weight_and_keeps_every_gradient():
    """d loss / d log pi(t) = -clip(rho_t) A_t / tokens."""
    settings = CISPOSettings(clip_low=0.3, clip_high=0.2)
    advantages = [1.0, -2.0, 0.5, 3.0, 1.0, -1.0]
    tokens = as_tokens(make_rows(1.0), advantages, torch.float64)
    output = CISPO(settings).loss(tokens, TOTALS)
    (gradient,) = torch.autograd.grad(output.loss, tokens.logprobs_M)
    ratio = torch.exp(tokens.logprobs_M - tokens.old_logprobs_M).detach()
    weights = np.repeat(np.array(WEIGHTS), LENGTHS)
    factor = np.repeat(advantages, LENGTHS) * weights / sum(LENGTHS)
    expected = -ratio.clamp(0.7, 1.2) * torch.tensor(factor)
    torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=1e-12)
    beyond = (ratio > 1.2) | (ratio < 0.7)
    assert beyond.any()
    assert (gradient[beyond & (torch.tensor(weights) > 0)] != 0).all()
    assert output.sums["clip_high"] > 0


def test_reinforce_pp_charges_the_kl_of_the_tokens_to_come():
    assert returns_with_kl(1.0, [0.1, -0.2, 0.4], 0.5) == pytest.approx([0.85, 0.9, 0.8])
    assert returns_with_kl(1.0, [], 0.5) == []
    flat = np.array([0.85, 0.9, 0.8, -1.0])
    found = whiten([[0.85, 0.9, 0.8], [-1.0]])
    expected = (flat - flat.mean()) / (flat.std() + EPSILON)
    np.testing.assert_allclose([x for row in found for x in row], expected, rtol=1e-12)
    assert whiten([[2.0, 2.0]]) == [[0.0, 0.0]]


@pytest.mark.parametrize(("baseline", "expected"), [("batch", [3.0, 1.0]), ("group", [1.0, -1.0])])
def test_reinforce_pp_takes_the_groups_mean_where_asked(baseline, expected):
    algorithm = ReinforcePP(ReinforcePPSettings(baseline=baseline))
    group = rewarded([3.0, 1.0, 99.0], [True, True, False])
    found = algorithm.advantages([group])[0]
    assert [found[0][0], found[1][0]] == expected


def test_reinforce_pp_in_the_learner_equals_plain_passes(tmp_path):
    """The advantages that the loss gets: KL of old policy and reference, by transformers alone."""
    folder = save_small_model(tmp_path / "model", "qwen2", scale=1.0)
    algorithm = ReinforcePP(ReinforcePPSettings(kl_weight=0.3))
    seen: list = []

    class Watched(ReinforcePP):
        def finish(self, batch, old, reference):
            seen.append(super().finish(batch, old, reference))
            return seen[-1]

    learner = LocalLearner(
        folder,
        LearnerSettings(device="cpu"),
        OptimizerSettings(lr=3e-3),
        Watched(algorithm.settings),
        total_steps=4,
    )
    groups = make_groups()
    metrics = learner.update(make_batch_of(groups))
    assert "kl" not in metrics, "the KL is in the reward"
    policy, reference = tmp_path / "policy", AutoModelForCausalLM.from_pretrained(folder)
    learner.save(policy)
    learner.update(make_batch_of(groups))
    model = AutoModelForCausalLM.from_pretrained(policy)
    returns = []
    for group in groups:
        for response in group.responses:
            gap = logprobs(model, group, response) - logprobs(reference, group, response)
            to_come = torch.flip(torch.cumsum(torch.flip(gap, [0]), 0), [0])
            returns.append(response.advantages[0] - 0.3 * to_come.double())
    flat = torch.cat(returns)
    expected = (flat - flat.mean()) / (flat.std(correction=0) + EPSILON)
    found = [a for group in seen[1].groups for r in group.responses for a in r.advantages]
    torch.testing.assert_close(torch.tensor(found).double(), expected, atol=2e-4, rtol=2e-4)
    assert math.isclose(sum(found), 0.0, abs_tol=1e-9)
    kl = (returns[0] - groups[0].responses[0].advantages[0]).abs().max()
    assert kl > 1e-4, "the policy has left the reference"


def logprobs(model, group, response):
    ids = torch.tensor([[*group.prompt_ids, *response.token_ids]])
    width = len(group.prompt_ids)
    with torch.no_grad():
        logits = model(ids).logits[0, width - 1 : -1]
    return torch.log_softmax(logits, -1).gather(1, ids[0, width:, None])[:, 0]


def test_all_have_settings_of_their_own_and_keep_what_all_have():
    assert {"grpo", "rloo", "cispo", "reinforce_pp"} <= set(algorithms())
    for name, registered in algorithms().items():
        made = registered.make(registered.settings())
        assert made.settings.num_minibatches == made.num_minibatches, name
        assert replace(made).settings == made.settings


SECTION = """
[{name}]
num_problems = 4
group_size = 4
kl_weight = 0.01
num_minibatches = 2
[optimizer]
lr = 5e-3
[checkpoints]
every = 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rloo", "cispo", "reinforce_pp"])
def test_each_raises_the_reward(tmp_path, monkeypatch, name):
    path = write_recipe(tmp_path, "qwen2", 8, SECTION.format(name=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with TerminalProgress() as progress:
        run_recipe(load_any_recipe(path), tmp_path, tmp_path / "run", progress)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.08
    stored = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert stored[name]["num_problems"] == 4
    assert "grpo" not in stored


@pytest.mark.slow
def test_advantages_completed_in_the_learner_resume_to_the_same_bytes(tmp_path):
    (tmp_path / "recipe").mkdir()
    recipe = write_recipe(tmp_path / "recipe", "qwen2", 5, SECTION.format(name="reinforce_pp"))
    finish(recipe, tmp_path / "straight")
    kill_after(recipe, tmp_path / "killed", 3)
    finish(recipe, tmp_path / "killed")
    assert story(tmp_path / "killed") == story(tmp_path / "straight")


def test_a_recipe_has_one_algorithm(tmp_path):
    path = write_recipe(tmp_path, "qwen2", 1, "[grpo]\n[rloo]\n")
    with pytest.raises(UserError, match=r"\[grpo\] and \[rloo\] are two"):
        load_any_recipe(path)
    path = write_recipe(tmp_path, "qwen2", 1, "[dpo]\n")
    with pytest.raises(UserError, match=r"dpo: .* one of \[cispo\], .*\[grpo\]"):
        load_any_recipe(path)
    path = write_recipe(tmp_path, "qwen2", 1, "[rloo]\nclip_lo = 0.1\n")
    with pytest.raises(UserError, match=r"rloo.clip_lo: .*did you mean 'clip_low'"):
        load_any_recipe(path)
