"""PRIME: implicit process rewards by hand, the second model against transformers, ranks, runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from r1.algorithms.prime import Prime, PrimeSettings
from r1.config import validate
from r1.errors import UserError
from r1.learner.local import LocalLearner
from r1.learner.metrics import UpdateMetrics
from r1.learner.microbatch import split_minibatches
from r1.learner.objective import CriticObjective, ImplicitObjective, TokenValues, Totals
from r1.learner.settings import LearnerSettings, LoraSettings, OptimizerSettings
from r1.r1_zero.settings import R1ZeroRecipe
from run_processes import finish, kill_after
from run_story import story
from sharded_checks import ranks_take_over
from small_models import SMOOTH_EPSILON, save_small_model
from small_recipe import with_plain_heldout, write_recipe
from test_algorithm_grpo import LENGTHS, WEIGHTS, as_tokens, make_rows
from train_batches import make_batch_of, make_groups

TOTALS = Totals(6, sum(LENGTHS))
ARCHITECTURES = ("qwen2", "llama", "deepseek_v3")


def batch_with_scores(scores, lengths_PG=((3, 2), (4,), (1, 2, 3))):
    """Groups of responses whose advantages are still their scores."""
    groups = make_groups(prompts=(4,) * len(lengths_PG), lengths=lengths_PG)
    rest = iter(scores)
    for group in groups:
        for response in group.responses:
            response.advantages = [next(rest)] * len(response.token_ids)
    return make_batch_of(groups)


def ragged(batch, seed):
    draw = torch.Generator().manual_seed(seed)
    responses = [r for group in batch.groups for r in group.responses]
    return [-torch.rand(len(r.token_ids), generator=draw).double() for r in responses]


@pytest.mark.parametrize("gamma", [1.0, 0.8])
def test_advantages_equal_the_sums(gamma):
    """Sum over later tokens of gamma^k (r - the others' mean), and leave-one-out of the scores."""
    scores = [1.0, 0.0, 1.0, 0.0, 2.0, 0.5]
    batch = batch_with_scores(scores)
    phi, reference = ragged(batch, 1), ragged(batch, 2)
    algorithm = Prime(PrimeSettings(beta=0.3, step_weight=0.7, gamma=gamma, right_above=0.9))
    valued = algorithm.finish_with_values(batch, phi, reference, phi)
    rewards = [0.3 * (p - q).numpy() for p, q in zip(phi, reference, strict=True)]
    found = [r.advantages for group in valued.batch.groups for r in group.responses]
    for members in ((0, 1), (2,), (3, 4, 5)):
        for i in members:
            others = [j for j in members if j != i]
            if not others:
                assert found[i] == [0.0] * len(rewards[i])
                continue
            base = np.mean([rewards[j].mean() for j in others])
            outcome = scores[i] - np.mean([scores[j] for j in others])
            for t in range(len(rewards[i])):
                steps = sum(
                    gamma ** (s - t) * (rewards[i][s] - base) for s in range(t, len(rewards[i]))
                )
                assert found[i][t] == pytest.approx(0.7 * steps + outcome, rel=1e-12)
    assert valued.outcomes == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    sums = [reward.sum() for reward in rewards]
    right = [(z > 0) == (o > 0) for z, o in zip(sums, valued.outcomes, strict=True)]
    assert valued.metrics["prm_accuracy"] == pytest.approx(np.mean(right))
    assert all(torch.equal(a, b) for a, b in zip(valued.returns, reference, strict=True))


def test_a_batch_without_responses_is_left_alone():
    valued = Prime(PrimeSettings()).finish_with_values(make_batch_of([], 3, 9), [], [], [])
    assert valued.batch.groups == []
    assert valued.metrics == {}


@pytest.mark.parametrize("far", [0.0, 1.0, 3000.0])
def test_the_second_models_loss_is_the_cross_entropy_of_outcomes(far):
    """By torch's own, in float64; also where sums are 0, as at a run's begin, and where the sigmoid
    is 0 or 1 to the last bit."""
    tokens = as_tokens(make_rows(0.3), [0.0] * 6, torch.float64)
    draw = torch.Generator().manual_seed(5)
    values_M = far * torch.randn(sum(LENGTHS), generator=draw, dtype=torch.float64)
    values_M.requires_grad_(True)
    outcomes_R = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    reference_M = tokens.reference_logprobs_M * (far > 0)
    held = TokenValues(values_M, values_M.detach(), reference_M, outcomes_R)
    tokens = type(tokens)(**{**vars(tokens), "values": held})
    output = Prime(PrimeSettings(beta=0.4)).loss(tokens, TOTALS)
    (gradient,) = torch.autograd.grad(output.value_loss, values_M)
    reward_M = 0.4 * (values_M - reference_M)
    sum_R = torch.stack([part.sum() for part in reward_M.split(LENGTHS)])
    each_R = torch.nn.functional.binary_cross_entropy_with_logits(
        sum_R, outcomes_R, reduction="none"
    )
    wanted = (torch.tensor(WEIGHTS, dtype=torch.float64) * each_R).sum() / 6
    (expected,) = torch.autograd.grad(wanted, values_M)
    torch.testing.assert_close(output.value_loss, wanted, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)


def test_it_is_seen_as_what_it_is():
    made = Prime(PrimeSettings())
    assert isinstance(made, CriticObjective)
    assert isinstance(made, ImplicitObjective)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {arch: save_small_model(root / arch, arch) for arch in ARCHITECTURES}


def make_learner(folder, budget=16_384, lora=None, **settings):
    return LocalLearner(
        folder,
        LearnerSettings(device="cpu", lora=lora, tokens_per_microbatch=budget),
        OptimizerSettings(lr=3e-3, epsilon=SMOOTH_EPSILON),
        Prime(PrimeSettings(**{"beta": 0.5, "prm_lr": 3e-3, "right_above": 0.0, **settings})),
        total_steps=8,
    )


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_second_model_learns_as_by_plain_passes_for_any_split(folders, arch):
    """Its gradient by transformers and autograd alone; none of it reaches the policy's loss."""
    groups = make_groups()
    batch = make_batch_of(groups)
    model = AutoModelForCausalLM.from_pretrained(folders[arch])
    loss = torch.zeros(())
    count = sum(len(group.responses) for group in groups)
    for group in groups:
        for response in group.responses:
            ids = torch.tensor([[*group.prompt_ids, *response.token_ids]])
            width = len(group.prompt_ids)
            logits = model(ids).logits[0, width - 1 : -1]
            own_T = logits.log_softmax(-1).gather(1, ids[0, width:, None])[:, 0]
            sign = 1.0 if response.advantages[0] > 0 else -1.0
            loss = (
                loss
                - torch.nn.functional.logsigmoid(sign * 0.5 * (own_T - own_T.detach()).sum())
                / count
            )
    loss.backward()
    wanted = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for budget in (16_384, 90):
        learner = make_learner(folders[arch], budget)
        prepared = learner._prepare(batch)
        (mini,) = split_minibatches(prepared.batch, 1, 0)
        metrics = UpdateMetrics(learner.device)
        learner.accumulate(mini, prepared, metrics)
        assert metrics.result()["prm_loss"] == pytest.approx(np.log(2.0), rel=1e-5)
        found = {n: p.grad for n, p in learner.critic.body.named.items() if p.grad is not None}
        assert found.keys() == wanted.keys()
        for name, gradient in found.items():
            scale = float(wanted[name].abs().max())
            torch.testing.assert_close(gradient, wanted[name], atol=1e-4 * scale, rtol=1e-3)


@pytest.mark.parametrize("lora", [None, LoraSettings(rank=4)])
def test_it_learns_which_responses_are_right_and_is_carried_on(folders, tmp_path, lora):
    """Its loss falls on one batch; half-way through, another learner takes over bit for bit."""
    batch = make_batch_of(make_groups())
    learner = make_learner(folders["qwen2"], lora=lora)
    told = [learner.update(batch) for _ in range(3)]
    learner.save(tmp_path / "half")
    other = make_learner(folders["qwen2"], lora=lora)
    other.load(tmp_path / "half")
    told += [learner.update(batch) for _ in range(2)]
    for _ in range(2):
        again = other.update(batch)
    assert told[-1]["prm_loss"] < told[0]["prm_loss"] - 0.05
    assert told[-1]["prm_accuracy"] >= 0.75
    for (name, a), (_, b) in zip(other.weights(), learner.weights(), strict=True):
        assert torch.equal(a, b), name
    assert again["prm_loss"] == told[-1]["prm_loss"]
    state = learner.critic.state_dict()
    assert all(torch.equal(tensor, state[n]) for n, tensor in other.critic.state_dict().items())
    assert float(state["weight"].abs().max()) == 0.0, "there is no value head"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"kl_weight": 1}, "kl_weight must be 0"),
        ({"reference_every": 1}, "reference_every must be 0"),
        ({"overlong": "mask"}, 'overlong = "mask" is not for prime'),
    ],
)
def test_a_moving_reference_and_masked_responses_are_refused(section, said):
    recipe = {
        "model": "tiny",
        "num_steps": 1,
        "data": {"train": [{"kind": "tiny", "split": "train", "num": 1}]},
    }
    with pytest.raises(UserError, match=said):
        validate({**recipe, "prime": section}, R1ZeroRecipe, "recipe")


@pytest.mark.slow
def test_two_ranks_give_what_one_process_gives_and_take_over(folders, tmp_path):
    section = {"prm_lr": 3e-3, "beta": 0.5, "right_above": 0.0, "num_minibatches": 2}
    setup = {"prime": section, "optimizer": {"epsilon": SMOOTH_EPSILON}}
    ranks_take_over(folders["qwen2"], setup, tmp_path)


SECTION = """
[prime]
num_problems = 4
group_size = 4
prm_lr = 3e-3
[optimizer]
lr = 5e-3
[checkpoints]
every = 2
"""


@pytest.mark.slow
def test_a_run_raises_the_reward_and_resumes_to_the_same_bytes(tmp_path):
    (tmp_path / "recipe").mkdir()
    recipe = with_plain_heldout(write_recipe(tmp_path / "recipe", "qwen2", 8, SECTION))
    finish(recipe, tmp_path / "straight")
    kill_after(recipe, tmp_path / "killed", 3)
    finish(recipe, tmp_path / "killed")
    assert story(tmp_path / "killed") == story(tmp_path / "straight")
    rows = [json.loads(line) for line in (tmp_path / "straight" / "metrics.jsonl").open()]
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.08
    assert all(0.0 <= row["prm_accuracy"] <= 1.0 for row in rows)
